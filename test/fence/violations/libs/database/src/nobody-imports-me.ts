// expect fence: no orphans
export const alone = 1;
