/**
 * Levels of values in a frame, for both directions: the frame itself is on level 1, what stands in it on level 2. Far
 * from what the stack of any browser holds.
 */
export const MAX_DEPTH = 256
