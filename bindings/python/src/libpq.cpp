// libpq, found when the first office on a server is opened: who opens none needs none, and a wheel
// does not bring it with the twenty libraries below it. What bureau::postgres calls is defined here
// and goes on to the library that was found.

#include "server.hpp"

#ifdef BUREAU_WITH_POSTGRES
#include <dlfcn.h>
#include <fmt/format.h>
#include <libpq-fe.h>

namespace bureau_python {

namespace {

constexpr const char* file = "libpq.so.5";
void* library = nullptr;

template <class Function>
Function function_named(const char* name) {
  return reinterpret_cast<Function>(::dlsym(library, name));
}

Result<void> load() {
  void* const found = ::dlopen(file, RTLD_NOW | RTLD_LOCAL);
  if (found == nullptr) {
    const char* const why = ::dlerror();
    return fail(
        Code::unavailable,
        fmt::format("libpq: an office on a server needs PostgreSQL's client library (Debian: "
                    "libpq5), which cannot be loaded: {}",
                    why == nullptr ? file : why),
        "libpq");
  }
  if (::dlsym(found, "PQenterPipelineMode") == nullptr) {  // the newest of those that are called
    return fail(Code::unavailable,
                fmt::format("libpq: {} is older than version 14, which is needed", file), "libpq");
  }
  library = found;
  return {};
}

}  // namespace

Result<void> find_libpq() {
  static const Result<void> found = load();
  return found;
}

}  // namespace bureau_python

#define FORWARD(result, name, parameters, arguments)                                         \
  result name parameters {                                                                   \
    static const auto function = bureau_python::function_named<result(*) parameters>(#name); \
    return function arguments;                                                               \
  }

extern "C" {

// clang-format off
FORWARD(PGconn*, PQconnectStartParams, (const char* const* keys, const char* const* values, int expand), (keys, values, expand))
FORWARD(PostgresPollingStatusType, PQconnectPoll, (PGconn* c), (c))
FORWARD(void, PQfinish, (PGconn* c), (c))
FORWARD(PQconninfoOption*, PQconninfoParse, (const char* text, char** error), (text, error))
FORWARD(PQconninfoOption*, PQconndefaults, (), ())
FORWARD(void, PQconninfoFree, (PQconninfoOption* options), (options))
FORWARD(void, PQfreemem, (void* memory), (memory))

FORWARD(ConnStatusType, PQstatus, (const PGconn* c), (c))
FORWARD(char*, PQhost, (const PGconn* c), (c))
FORWARD(char*, PQhostaddr, (const PGconn* c), (c))
FORWARD(char*, PQport, (const PGconn* c), (c))
FORWARD(int, PQsocket, (const PGconn* c), (c))
FORWARD(int, PQbackendPID, (const PGconn* c), (c))
FORWARD(int, PQserverVersion, (const PGconn* c), (c))
FORWARD(const char*, PQparameterStatus, (const PGconn* c, const char* name), (c, name))
FORWARD(char*, PQerrorMessage, (const PGconn* c), (c))
FORWARD(int, PQsetnonblocking, (PGconn* c, int on), (c, on))
FORWARD(PQnoticeProcessor, PQsetNoticeProcessor, (PGconn* c, PQnoticeProcessor processor, void* argument), (c, processor, argument))

FORWARD(int, PQenterPipelineMode, (PGconn* c), (c))
FORWARD(int, PQexitPipelineMode, (PGconn* c), (c))
FORWARD(int, PQpipelineSync, (PGconn* c), (c))
FORWARD(int, PQflush, (PGconn* c), (c))
FORWARD(int, PQconsumeInput, (PGconn* c), (c))
FORWARD(int, PQisBusy, (PGconn* c), (c))
FORWARD(PGnotify*, PQnotifies, (PGconn* c), (c))
FORWARD(int, PQputCopyData, (PGconn* c, const char* data, int size), (c, data, size))
FORWARD(int, PQputCopyEnd, (PGconn* c, const char* error), (c, error))
FORWARD(int, PQsendQuery, (PGconn* c, const char* sql), (c, sql))
FORWARD(int, PQsendPrepare, (PGconn* c, const char* name, const char* sql, int count, const Oid* types), (c, name, sql, count, types))
FORWARD(int, PQsendDescribePrepared, (PGconn* c, const char* name), (c, name))
FORWARD(int, PQsendQueryParams, (PGconn* c, const char* sql, int count, const Oid* types, const char* const* values, const int* sizes, const int* formats, int format), (c, sql, count, types, values, sizes, formats, format))
FORWARD(int, PQsendQueryPrepared, (PGconn* c, const char* name, int count, const char* const* values, const int* sizes, const int* formats, int format), (c, name, count, values, sizes, formats, format))

FORWARD(PGresult*, PQgetResult, (PGconn* c), (c))
FORWARD(void, PQclear, (PGresult* r), (r))
FORWARD(ExecStatusType, PQresultStatus, (const PGresult* r), (r))
FORWARD(char*, PQresultErrorMessage, (const PGresult* r), (r))
FORWARD(char*, PQresultErrorField, (const PGresult* r, int field), (r, field))
FORWARD(char*, PQcmdStatus, (PGresult* r), (r))
FORWARD(char*, PQcmdTuples, (PGresult* r), (r))
FORWARD(int, PQntuples, (const PGresult* r), (r))
FORWARD(int, PQnfields, (const PGresult* r), (r))
FORWARD(char*, PQfname, (const PGresult* r, int field), (r, field))
FORWARD(Oid, PQftype, (const PGresult* r, int field), (r, field))
FORWARD(int, PQgetisnull, (const PGresult* r, int row, int field), (r, row, field))
FORWARD(int, PQgetlength, (const PGresult* r, int row, int field), (r, row, field))
FORWARD(char*, PQgetvalue, (const PGresult* r, int row, int field), (r, row, field))
// clang-format on

}  // extern "C"
#endif
