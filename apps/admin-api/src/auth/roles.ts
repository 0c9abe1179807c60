import { SetMetadata, type CustomDecorator } from '@nestjs/common';

/** What a key may do. A role may do what the roles after it may. */
export const ROLES = ['admin', 'queue-operator', 'helpdesk', 'viewer'] as const;
export type Role = (typeof ROLES)[number];

export const ROUTE_ACCESS = 'postern:route-access';
export type RouteAccess = Role | 'public';

/** Marks the few routes that answer without a key. */
export function Public(): CustomDecorator {
  return SetMetadata(ROUTE_ACCESS, 'public' satisfies RouteAccess);
}

/** The least role a route needs. A route that says nothing needs `admin`. */
export function RequiresRole(role: Role): CustomDecorator {
  return SetMetadata(ROUTE_ACCESS, role satisfies RouteAccess);
}

export function isRole(text: string): text is Role {
  return (ROLES as readonly string[]).includes(text);
}

export function mayAct(role: Role, needed: Role): boolean {
  return ROLES.indexOf(role) <= ROLES.indexOf(needed);
}
