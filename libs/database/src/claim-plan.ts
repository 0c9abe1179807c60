/**
 * From where the next claim takes its rows. Usually the oldest of each route; where a claim came back full, or a
 * destination wants less than others, every domain of an `mx` route gets an equal share, so that a hundred thousand
 * messages to one domain do not stand before the one to another. Domains are visited in order, some hundreds at a time.
 */
import type { ClaimWishes } from '#delivery';

/** A domain of a route, and how many rows it may give at most. */
export interface ClaimPlace {
  readonly route: string;
  readonly domain: string;
  readonly room: number;
}

export interface ClaimSources {
  /** Routes that give no rows by themselves: their places do, or they want none. */
  readonly withoutRoutes: readonly string[];
  /** Routes that give no more than so many. */
  readonly limitedRoutes: readonly { readonly route: string; readonly room: number }[];
  readonly places: readonly ClaimPlace[];
}

export interface VisitedPlace {
  readonly route: string;
  /** Null: there is none behind the last. */
  readonly domain: string | null;
  readonly due: boolean;
}

export type VisitPlaces = (
  routes: readonly { readonly route: string; readonly after: string }[],
) => Promise<readonly VisitedPlace[]>;

const ENOUGH_PLACES = 50;
const MOST_VISITS = 5;
const MAX_CROWDED = 100;

export class ClaimPlan {
  /** Of each route the domain visited last. */
  readonly #visited = new Map<string, string>();
  /** Places that had more than their share: they are not forgotten while others are visited. */
  readonly #crowded = new Map<string, { readonly route: string; readonly domain: string }>();
  #wasFull = false;

  /** `visit` is only asked where the domains of a route are to be told apart. */
  async next(wishes: ClaimWishes, visit: VisitPlaces): Promise<ClaimSources> {
    const { byDomain, limited } = wishes;
    const limitedRoutes = limited.flatMap(({ route, domain, room }) => (domain === undefined ? [{ route, room }] : []));
    const withoutRoutes = limitedRoutes.flatMap(({ route, room }) => (room <= 0 ? [route] : []));
    const isApart = this.#wasFull || this.#crowded.size > 0 || limited.some(({ domain }) => domain !== undefined);
    if (byDomain.length === 0 || !isApart) return { withoutRoutes, limitedRoutes, places: [] };
    const rooms = new Map(limited.map(({ route, domain, room }) => [`${route} ${domain ?? ''}`, room]));
    const found = await this.#visit(byDomain, visit);
    const places = Array.from(found, ([key, place]) => ({ ...place, room: rooms.get(key) ?? Number.MAX_SAFE_INTEGER }));
    return {
      withoutRoutes: [...withoutRoutes, ...byDomain],
      limitedRoutes,
      places: places.filter(({ room }) => room > 0),
    };
  }

  /** What came of it. `taken`: route and domain of each recipient. */
  took(
    { places }: ClaimSources,
    limit: number,
    taken: readonly { readonly route: string; readonly domain: string }[],
  ): void {
    this.#wasFull = taken.length >= limit;
    const share = Math.max(2, Math.ceil(limit / Math.max(1, places.length)));
    const counts = new Map<string, number>();
    for (const { route, domain } of taken) {
      const key = `${route} ${domain}`;
      const count = (counts.get(key) ?? 0) + 1;
      counts.set(key, count);
      if (count >= share && places.length > 0 && this.#crowded.size < MAX_CROWDED) {
        this.#crowded.set(key, { route, domain });
      }
    }
    for (const key of this.#crowded.keys()) if ((counts.get(key) ?? 0) < share) this.#crowded.delete(key);
  }

  async #visit(
    routes: readonly string[],
    visit: VisitPlaces,
  ): Promise<Map<string, { readonly route: string; readonly domain: string }>> {
    const places = new Map(this.#crowded);
    const enough = places.size + ENOUGH_PLACES;
    let open = routes;
    for (let visits = 0; visits < MOST_VISITS && open.length > 0 && places.size < enough; visits += 1) {
      const visited = await visit(open.map((route) => ({ route, after: this.#visited.get(route) ?? '' })));
      for (const { route, domain, due } of visited) {
        this.#visited.set(route, domain ?? '');
        if (domain !== null && due) places.set(`${route} ${domain}`, { route, domain });
      }
      // A route that was seen to its end begins anew next time.
      open = open.filter((route) => this.#visited.get(route) !== '');
    }
    return places;
  }
}
