/** What a part says of itself → whether it is an attachment, and under which names. */
import type { HeaderField } from './fields.js';
import type { MimeFault, MimeLimits } from './limits.js';
import { paramReadings, readParameters, type ParameterizedValue } from './parameters.js';

export interface Attachment {
  /** Every reading of its name, decoded; empty when it has none. */
  readonly names: readonly string[];
  /** As declared, lower case. */
  readonly type: string;
  /** Octets after decoding. */
  readonly sizeBytes: number;
}

export interface PartHeader {
  /** Media type, lower case. */
  readonly type: string;
  readonly charset: string;
  readonly boundary: string | undefined;
  /** Lower case: `base64`, `quoted-printable`, …; '' when none is named. */
  readonly encoding: string;
  readonly names: readonly string[];
  /** `Content-Disposition: attachment`. */
  readonly isAttachment: boolean;
}

const COMPOSITE = /^(?:multipart\/.+|message\/(?:rfc822|global))$/;
const MAX_NAME_CHARS = 255;

export function isComposite(type: string): boolean {
  return COMPOSITE.test(type);
}

/** A fault where limits are exceeded, or where programs could see different structures. */
export function readPartHeader(
  fields: readonly HeaderField[],
  limits: MimeLimits,
  defaultType: string,
): PartHeader | { readonly fault: MimeFault } {
  const types = readAll(fields, 'content-type', limits);
  const dispositions = readAll(fields, 'content-disposition', limits);
  if (types === undefined || dispositions === undefined) return { fault: 'mime.limit' };
  const encodings = valuesOf(fields, 'content-transfer-encoding').map(
    (text) => text.split(/[\s;(]/)[0]?.toLowerCase() ?? '',
  );
  const [first] = types;
  const type = typeOf(first, defaultType);
  const boundaries = types.flatMap((each) => paramReadings(each, 'boundary'));
  const isAmbiguous =
    types.some((each) => typeOf(each, defaultType) !== type) ||
    new Set(boundaries).size > 1 ||
    new Set(encodings).size > 1;
  if (isAmbiguous && [type, ...types.map(({ value }) => value)].some(isComposite)) return { fault: 'mime.ambiguous' };
  const names = [
    ...dispositions.flatMap((each) => paramReadings(each, 'filename')),
    ...types.flatMap((each) => paramReadings(each, 'name')),
  ];
  return {
    type,
    charset: (first === undefined ? undefined : paramReadings(first, 'charset')[0]) ?? 'us-ascii',
    boundary: boundaries[0],
    encoding: encodings[0] ?? '',
    names: [...new Set(names.map((name) => name.slice(0, MAX_NAME_CHARS)))],
    isAttachment: dispositions.some(({ value }) => value === 'attachment'),
  };
}

/** Text that is shown as the message itself is no attachment; whatever has a name, or is no text, is one. */
export function isBodyText({ type, names, isAttachment }: PartHeader): boolean {
  return type.startsWith('text/') && names.length === 0 && !isAttachment;
}

function typeOf(value: ParameterizedValue | undefined, defaultType: string): string {
  if (value === undefined) return defaultType;
  return /^[^\s/]+\/[^\s/]+$/.test(value.value) ? value.value : 'text/plain';
}

function valuesOf(fields: readonly HeaderField[], name: string): readonly string[] {
  return fields.filter((field) => field.name === name).map(({ value }) => value);
}

function readAll(
  fields: readonly HeaderField[],
  name: string,
  limits: MimeLimits,
): readonly ParameterizedValue[] | undefined {
  const read = valuesOf(fields, name).map((value) => readParameters(value, limits.params));
  return read.every((value) => value !== undefined) ? read : undefined;
}

const CONTROLS = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]+/;

/**
 * What programs take for the extension, lower case: after the last dot, without the dots and blanks that some file
 * systems drop. A control character may end a name or be left out: both readings are given.
 */
export function extensionsOf(name: string): readonly string[] {
  const plain = name.normalize('NFKC').toLowerCase();
  const pieces = plain.split(CONTROLS);
  const extensions = [pieces.join(''), ...(pieces.length > 1 ? pieces : [])].map(extensionOf);
  return [...new Set(extensions)].filter((extension) => extension !== '');
}

function extensionOf(name: string): string {
  let end = name.length;
  while (end > 0 && /[\s.]/.test(name.charAt(end - 1))) end -= 1;
  const dot = name.lastIndexOf('.', end - 1);
  return dot === -1 ? '' : name.slice(dot + 1, end).trim();
}
