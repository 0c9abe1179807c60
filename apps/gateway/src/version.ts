/** Version of the product, as audits record it. Kept equal to package.json by a test. */
export const VERSION = '0.1.0';
