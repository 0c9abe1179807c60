/** There is one policy per installation; the name is part of every address, so that there can be more one day. */
export const POLICY_NAME = 'main';
