// Empty: the target of the headers that the tests share when they are precompiled (BUREAU_PCH).
