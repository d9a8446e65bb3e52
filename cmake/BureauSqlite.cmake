# SQLite::SQLite3 from an amalgamation, when BUREAU_SQLITE names one; otherwise the system's is found
# as every package is. All of the build takes the same: two copies of SQLite in one process lose data
# (docs/sqlite.md).
set(bureau_sqlite_requires sqlite3)  # of the pkg-config file
set(bureau_sqlite_libs "")
if(NOT BUREAU_SQLITE)
  return()
endif()

get_filename_component(bureau_sqlite_folder "${BUREAU_SQLITE}" ABSOLUTE
                       BASE_DIR "${PROJECT_SOURCE_DIR}")
if(NOT IS_DIRECTORY "${bureau_sqlite_folder}")
  get_filename_component(bureau_sqlite_folder "${bureau_sqlite_folder}" DIRECTORY)
endif()
foreach(file IN ITEMS sqlite3.c sqlite3.h)
  if(NOT EXISTS "${bureau_sqlite_folder}/${file}")
    message(FATAL_ERROR "BUREAU_SQLITE: \"${BUREAU_SQLITE}\" is no amalgamation: "
                        "there is no ${bureau_sqlite_folder}/${file}")
  endif()
endforeach()
file(STRINGS "${bureau_sqlite_folder}/sqlite3.h" SQLite3_VERSION
     REGEX "^#define SQLITE_VERSION +\"[0-9.]+\"")
string(REGEX REPLACE ".*\"([0-9.]+)\".*" "\\1" SQLite3_VERSION "${SQLite3_VERSION}")
if(SQLite3_VERSION VERSION_LESS 3.40)
  message(FATAL_ERROR "BUREAU_SQLITE: SQLite ${SQLite3_VERSION} is older than 3.40")
endif()
if(TARGET SQLite::SQLite3)
  message(FATAL_ERROR "BUREAU_SQLITE: this build has a SQLite::SQLite3 already, and two copies in one "
                      "process lose data; leave BUREAU_SQLITE empty, and bureau takes that one")
endif()
if(BUILD_SHARED_LIBS AND BUREAU_TESTS)
  message(FATAL_ERROR "BUREAU_SQLITE: in a shared library the amalgamation is private, so that the "
                      "tests would bring a second copy; turn BUREAU_TESTS off")
endif()

enable_language(C)
add_library(bureau_sqlite STATIC "${bureau_sqlite_folder}/sqlite3.c")
set_target_properties(bureau_sqlite PROPERTIES
  EXPORT_NAME sqlite POSITION_INDEPENDENT_CODE ON C_VISIBILITY_PRESET hidden)
target_include_directories(bureau_sqlite SYSTEM PUBLIC
  "$<BUILD_INTERFACE:${bureau_sqlite_folder}>")
# Column metadata is what SQLiteCpp asks for; memory statistics cost a mutex at each allocation.
target_compile_definitions(bureau_sqlite PRIVATE
  SQLITE_THREADSAFE=1 SQLITE_DQS=0 SQLITE_DEFAULT_MEMSTATUS=0 SQLITE_ENABLE_COLUMN_METADATA
  SQLITE_ENABLE_FTS5)
target_link_libraries(bureau_sqlite PUBLIC Threads::Threads ${CMAKE_DL_LIBS} m)
add_library(SQLite::SQLite3 ALIAS bureau_sqlite)
set(bureau_sqlite_requires "")
set(bureau_sqlite_libs "-lbureau_sqlite -ldl -lm")
