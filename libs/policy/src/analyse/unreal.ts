/** Facts that depend on each other: combinations that no session can have. */
import { cells, type CellSet } from './cells.js';
import { combine, type Case } from './box.js';
import { ALWAYS, type Space } from './space.js';

/** Each case is one that can not be. */
export function unrealCases(space: Space): readonly Case[] {
  const unreal = new Unreal(space);
  return [...unreal.tls(), ...unreal.certificates(), ...unreal.auth(), ...unreal.haste(), ...unreal.sender()];
}

class Unreal {
  constructor(private readonly space: Space) {}

  tls(): readonly Case[] {
    const [noTls, none] = [this.listeners('no tls'), this.flag('tls', false)];
    const withTls = [...this.flag('tls', true), ...this.there('tls.version'), ...this.certificate()];
    return [
      ...this.both(this.listeners('always tls'), none),
      ...this.both(noTls, withTls),
      ...this.both(none, [...this.there('tls.version'), ...this.certificate()]),
      ...this.both([...this.flag('tls', true), ...this.certificate()], this.missing('tls.version')),
    ];
  }

  certificates(): readonly Case[] {
    return [
      ...this.both(this.listeners('no certificates'), this.certificate()),
      ...this.both(this.there('cert.name'), this.missing('cert.fingerprint')),
    ];
  }

  auth(): readonly Case[] {
    const signedIn = [...this.there('auth'), ...this.there('auth.method')];
    return [
      ...this.both(this.listeners('no auth'), signedIn),
      ...this.both(signedIn, [...this.missing('auth'), ...this.missing('auth.method')]),
      ...this.both(this.both(this.listeners('no auth without tls'), this.flag('tls', false)), signedIn),
    ];
  }

  /** Only a client that is kept waiting can be seen to talk too early. */
  haste(): readonly Case[] {
    return this.both(this.listeners('no greeting delay'), this.flag('early-talker', true));
  }

  sender(): readonly Case[] {
    return [
      ...this.both(this.missing('sender'), this.there('sender.has-mx')),
      ...this.both(this.there('sender'), this.missing('sender.has-mx')),
    ];
  }

  private certificate(): readonly Case[] {
    return [...this.there('cert.name'), ...this.there('cert.fingerprint')];
  }

  private there(name: string): readonly Case[] {
    return this.space.presence(name, true);
  }

  private missing(name: string): readonly Case[] {
    return this.space.presence(name, false);
  }

  private both(a: readonly Case[], b: readonly Case[]): readonly Case[] {
    return combine(this.space, a, b);
  }

  private listeners(trait: string): readonly Case[] {
    return this.within('listener', this.space.named('listener', trait));
  }

  private flag(name: string, value: boolean): readonly Case[] {
    const values = this.space.groups.get(name)?.group.raw.dimension.values ?? [];
    return this.within(name, cells(values.flatMap((each, cell) => (each === value ? [cell] : []))));
  }

  private within(name: string, set: CellSet): readonly Case[] {
    const dimension = this.space.single(name);
    return dimension === undefined ? [] : combine(this.space, ALWAYS, this.space.only(dimension, set));
  }
}
