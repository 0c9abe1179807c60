/** Routes by name as the policy in force defines them: the queue stores names, so a corrected route helps old mail. */
import type { RouteDefinition, RouteSource } from '#delivery';
import { relayRoutes } from '../relay/routes.js';
import type { LoadedPolicy } from './policy-holder.js';

export class RouteTable implements RouteSource {
  #routes: ReadonlyMap<string, RouteDefinition> = new Map();
  #revision = 0;

  /** `mailDir` is where relative directories of file routes lie. */
  constructor(private readonly mailDir: string) {}

  /** Definitions that did not change stay the same objects: their connections are kept. */
  update(loaded: LoadedPolicy): void {
    if (loaded.revision === this.#revision) return;
    const fresh = relayRoutes(loaded.policy.routes, this.mailDir);
    const old = this.#routes;
    this.#routes = new Map(
      Array.from(fresh, ([name, route]) => {
        const known = old.get(name);
        return [name, JSON.stringify(known) === JSON.stringify(route) && known !== undefined ? known : route];
      }),
    );
    this.#revision = loaded.revision;
  }

  route(name: string): { readonly definition: RouteDefinition; readonly revision: number } | undefined {
    const definition = this.#routes.get(name);
    return definition === undefined ? undefined : { definition, revision: this.#revision };
  }
}
