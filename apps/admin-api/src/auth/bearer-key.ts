const LONGEST_KEY = 200;

/** The API key of an `Authorization` header; undefined for any other text. */
export function bearerKey(header: string | undefined): string | undefined {
  if (header === undefined || header.length > LONGEST_KEY) return undefined;
  return /^Bearer +([\w.~+/=-]+)$/iu.exec(header)?.[1];
}
