#pragma once

#include <string>
#include <string_view>

#include "bureau/core/result.hpp"

struct sqlite3;

BUREAU_BEGIN_NAMESPACE
namespace detail::sqlite {

/// What is being done, in the words of an error, while a file is opened.
inline constexpr std::string_view opening = "opening it";

/// What SQLite said, as one of bureau's codes. `code` is SQLite's extended result; the connection
/// is asked for its message and may be null. `path` names the file, `doing` what was tried.
[[nodiscard]] Error to_error(sqlite3* connection, int code, std::string_view path,
                             std::string_view doing);

/// Errors after which a transaction cannot be relied upon, whatever the closure makes of them.
[[nodiscard]] bool dooms(Code code);

/// The failure of a system call on one of the files beside the database.
[[nodiscard]] Error system_error(int number, std::string_view path, std::string_view doing);

}  // namespace detail::sqlite
BUREAU_END_NAMESPACE
