/** How long properties are tried: briefly in the suite, as long as one likes with `npm run fuzz`. */
const wanted = Number(process.env['FUZZ_RUNS'] ?? 0);
const seed = Number(process.env['FUZZ_SEED'] ?? Number.NaN);

/** Parameters of `fc.assert`; `usual` runs in the suite. `share`: how many of the wanted runs a costly property takes. */
export function runs(usual: number, share = 1): { readonly numRuns: number; readonly seed?: number } {
  const numRuns = wanted > 0 ? Math.max(usual, Math.ceil(wanted * share)) : usual;
  return Number.isNaN(seed) ? { numRuns } : { numRuns, seed };
}
