// Loaded first in each process of a test: what it has compiled is kept for the next one soon, since many are killed.
import { flushCompileCache } from 'node:module'

setTimeout(() => flushCompileCache(), 700).unref()
