/** The fields of a DTO class as a plain object type: what mappers build and spread. */
export type Fields<Dto> = { [Name in keyof Dto]: Dto[Name] };
