import type { Request } from 'express';

/** The part of Express' router that is needed; `match` is how the router itself finds a route. */
interface RouterLayer {
  readonly route?: { readonly methods: Readonly<Record<string, boolean>> };
  match(path: string): boolean;
}

/** Methods of the routes at the request's path, upper case; none when there is nothing at this address. */
export function allowedMethods(request: Request): readonly string[] {
  const { router } = request.app as unknown as { router: { stack: readonly RouterLayer[] } };
  const methods = router.stack
    .filter((layer) => layer.route !== undefined && layer.match(request.path))
    .flatMap((layer) => Object.keys(layer.route?.methods ?? {}))
    .map((method) => method.toUpperCase());
  return [...new Set(methods.includes('GET') ? [...methods, 'HEAD'] : methods)].sort();
}
