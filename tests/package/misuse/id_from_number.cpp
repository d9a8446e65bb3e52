// expect: conversion from .int. to non-scalar type|no viable conversion
#include <bureau/core/id.hpp>

struct Ticket {};

bureau::Id<Ticket> ticket = 7;
