import { expect, test } from '@jest/globals';
import { renderAuditEvents } from './catalogue.js';

test('every kind has a meaning and a table', () => {
  const text = renderAuditEvents();
  expect(text.match(/^### `[a-z-]+\.[a-z-]+`$/gm)?.length).toBeGreaterThan(20);
  expect(text).toContain('### `delivery.lease-lost`');
  expect(text).toContain('| `routeRevision` |');
});
