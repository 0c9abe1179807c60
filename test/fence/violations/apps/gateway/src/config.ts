// expect fence: config.ts: packages
export { z } from 'zod';
export { Module } from '@nestjs/common';
