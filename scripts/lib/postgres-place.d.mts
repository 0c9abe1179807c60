export interface Account {
  readonly uid: number;
  readonly gid: number;
}

export function accountFor(dataDir: string, names?: readonly string[]): Account | undefined;
export function reaches(account: Account | undefined, path: string): boolean;
export function usableNative(
  installed: string,
  version: string,
  where: { account: Account | undefined; home: string; log: (line: string) => void },
): string;
