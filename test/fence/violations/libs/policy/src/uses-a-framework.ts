// expect lint: no-restricted-imports
// expect fence: libs/policy: packages
export { Module } from '@nestjs/common';
