# What every target of ours shares: packages, warnings, sanitizers, compiler cache, linker.
# Only target-scoped settings: a host that adds this folder to its own build is left as it was.

# Finds a package and shows its targets to the whole build: a host that links bureau::bureau from
# the folder above must see what it links in turn. Targets that the host has already are left alone.
function(bureau_find package)
  set(missing "")
  foreach(target IN LISTS ARGN)
    if(NOT TARGET ${target})
      list(APPEND missing ${target})
    endif()
  endforeach()
  if(missing)
    find_package(${package} REQUIRED)
    set(${package}_VERSION "${${package}_VERSION}" PARENT_SCOPE)  # for the SBOM
    set_target_properties(${missing} PROPERTIES IMPORTED_GLOBAL TRUE)
  endif()
endfunction()

# bureau_find_optional(package target): the same for a component that can be left out: as a guest it is
# where there is no such package.
function(bureau_find_optional package target)
  if(PROJECT_IS_TOP_LEVEL)
    bureau_find(${package} ${target})
  elseif(NOT TARGET ${target})
    find_package(${package} QUIET)
    if(TARGET ${target})
      set_target_properties(${target} PROPERTIES IMPORTED_GLOBAL TRUE)
    endif()
  endif()
endfunction()

bureau_find(Threads Threads::Threads)
bureau_find(tl-expected tl::expected)
bureau_find(fmt fmt::fmt)
include(BureauSqlite)
bureau_find(SQLite3 SQLite::SQLite3)
bureau_find(SQLiteCpp SQLiteCpp)
bureau_find(date date::date date::date-tz)
bureau_find(nlohmann_json nlohmann_json::nlohmann_json)
bureau_find(valijson valijson)
bureau_find(BureauSodium bureau::sodium)

set(bureau_launcher "")
set(bureau_linker "")
if(PROJECT_IS_TOP_LEVEL)
  find_program(BUREAU_CCACHE ccache)
  find_program(BUREAU_MOLD mold)
  find_program(BUREAU_ENV env)
  if(BUREAU_CCACHE AND BUREAU_ENV)
    # Paths below the tree are hashed relative to it, so that clones and worktrees share the cache.
    set(bureau_launcher "${BUREAU_ENV}" CCACHE_NOHASHDIR=1 "CCACHE_BASEDIR=${PROJECT_SOURCE_DIR}")
    if(BUREAU_PCH)
      list(APPEND bureau_launcher CCACHE_SLOPPINESS=pch_defines,time_macros)  # its manual asks for them
    endif()
    list(APPEND bureau_launcher "${BUREAU_CCACHE}")
  elseif(BUREAU_CCACHE)
    set(bureau_launcher "${BUREAU_CCACHE}")
  endif()
  if(BUREAU_MOLD)
    set(bureau_linker -fuse-ld=mold)
  endif()
endif()

function(bureau_configure target)
  target_compile_features(${target} PUBLIC cxx_std_20)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF)
  get_target_property(type ${target} TYPE)
  if(type STREQUAL "STATIC_LIBRARY")
    # A shared object may have it inside, such as Python's module, without a second compilation.
    set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE ON)
    target_compile_options(${target} PRIVATE -fno-semantic-interposition)
  endif()
  if(bureau_launcher)
    set_target_properties(${target} PROPERTIES CXX_COMPILER_LAUNCHER "${bureau_launcher}")
  endif()
  target_compile_options(${target} PRIVATE
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion
    $<$<BOOL:${BUREAU_WERROR}>:-Werror>)
  target_link_options(${target} PRIVATE ${bureau_linker})
  if(BUREAU_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${BUREAU_SANITIZE} -fno-omit-frame-pointer
                                             -fno-sanitize-recover=all)
    target_compile_definitions(${target} PRIVATE _GLIBCXX_ASSERTIONS)
    target_link_options(${target} PUBLIC -fsanitize=${BUREAU_SANITIZE})
  endif()
  if(BUREAU_FUZZ)
    target_compile_options(${target} PRIVATE -fsanitize=fuzzer-no-link)
  endif()
endfunction()

# bureau_headers(name target header...): with BUREAU_PCH, a target that compiles the headers as
# `target` would, whose options are all set by then; for bureau_precompile.
#
# The compiler's cache knows them by the bytes of all files read (CCACHE_DEPEND). Otherwise it goes by
# what the preprocessor leaves, which has no comments, and hands out headers that were precompiled in
# a clone where a comment differs: the compiler takes ours for other files then, and what they declare
# is declared twice. What sources compiled together include is named by its path, different in each
# clone: they keep going by the preprocessor, so the headers are a target of their own. Their names
# are as a source writes them, in quotes or angle brackets, which are the same bytes in each clone.
function(bureau_headers name target)
  if(NOT BUREAU_PCH)
    return()
  endif()
  set(source "${CMAKE_CURRENT_BINARY_DIR}/${name}.cpp")
  file(CONFIGURE OUTPUT "${source}" CONTENT "// Empty: its target is there for its precompiled headers.\n")
  add_library(${name} OBJECT "${source}")
  foreach(property IN ITEMS COMPILE_DEFINITIONS COMPILE_FEATURES COMPILE_OPTIONS CXX_COMPILER_LAUNCHER
                            CXX_EXTENSIONS CXX_VISIBILITY_PRESET INCLUDE_DIRECTORIES LINK_LIBRARIES
                            POSITION_INDEPENDENT_CODE VISIBILITY_INLINES_HIDDEN)
    get_target_property(value ${target} ${property})
    if(NOT value MATCHES "-NOTFOUND$")
      set_target_properties(${name} PROPERTIES ${property} "${value}")
    endif()
  endforeach()
  get_target_property(type ${target} TYPE)
  if(type MATCHES "^(SHARED|MODULE)_LIBRARY$")
    set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  endif()
  get_target_property(launcher ${target} CXX_COMPILER_LAUNCHER)
  find_program(BUREAU_ENV env)
  if(launcher MATCHES "ccache" AND BUREAU_ENV)
    set_target_properties(${name} PROPERTIES
      CXX_COMPILER_LAUNCHER "${BUREAU_ENV};CCACHE_DEPEND=1;${launcher}")
  endif()
  bureau_stampless(${name})
  target_precompile_headers(${name} PRIVATE ${ARGN})
endfunction()

# bureau_precompile(target headers): takes the headers of bureau_headers, with BUREAU_PCH.
function(bureau_precompile target headers)
  if(BUREAU_PCH)
    bureau_stampless(${target})
    target_precompile_headers(${target} REUSE_FROM ${headers})
  endif()
endfunction()

# Without Clang's time stamp a header that was compiled twice is the same: the cache needs that.
function(bureau_stampless target)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    target_compile_options(${target} PRIVATE "SHELL:-Xclang -fno-pch-timestamp")
  endif()
endfunction()

# bureau_compile_together(target size source...): up to so many sources of one folder are one file to
# the compiler, which reads their headers once; with BUREAU_UNITY.
function(bureau_compile_together target size)
  if(NOT BUREAU_UNITY)
    return()
  endif()
  set(folder "")
  foreach(source IN LISTS ARGN)
    get_filename_component(folder_of_source "${source}" DIRECTORY)
    if(NOT folder_of_source STREQUAL folder)
      set(folder "${folder_of_source}")
      set(place 0)
    endif()
    math(EXPR group "${place} / ${size}")
    # The place in the tree, not of the tree: the name is part of what the compiler's cache knows.
    file(RELATIVE_PATH name "${PROJECT_SOURCE_DIR}" "${folder}")
    string(MAKE_C_IDENTIFIER "${name}_${group}" name)
    set_source_files_properties("${source}" PROPERTIES UNITY_GROUP "${name}")
    math(EXPR place "${place} + 1")
  endforeach()
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
endfunction()
