# Builds and installs bureau with an amalgamation of SQLite, and the tiny host in consumer/ against it:
# by CMake and by pkg-config, with no other SQLite in the program.
cmake_minimum_required(VERSION 3.22)

if("$ENV{BUREAU_AMALGAMATION}" STREQUAL "")
  message("skipped: BUREAU_AMALGAMATION names no amalgamation of SQLite")
  return()
endif()

include("${CMAKE_CURRENT_LIST_DIR}/run.cmake")

function(check_host program)
  run("${program}")
  if(NOT output STREQUAL "${VERSION}\n")
    message(FATAL_ERROR "${program} printed `${output}`, not the version ${VERSION}")
  endif()
  run(ldd "${program}")
  if(output MATCHES "libsqlite3")
    message(FATAL_ERROR "${program} has the system's SQLite as well:\n${output}")
  endif()
endfunction()

file(REMOVE_RECURSE "${SCRATCH}")
set(options -G Ninja "-DCMAKE_CXX_COMPILER=${COMPILER}" -DCMAKE_BUILD_TYPE=RelWithDebInfo)
run("${CMAKE_COMMAND}" -S "${SOURCE}" -B "${SCRATCH}/bureau" ${options}
    "-DBUREAU_SQLITE=$ENV{BUREAU_AMALGAMATION}" -DBUREAU_TESTS=OFF -DBUREAU_EXAMPLES=OFF
    -DBUREAU_BENCHMARKS=OFF)
run("${CMAKE_COMMAND}" --build "${SCRATCH}/bureau")
run("${CMAKE_COMMAND}" --install "${SCRATCH}/bureau" --prefix "${SCRATCH}/prefix")
run("${CMAKE_COMMAND}" -S "${CMAKE_CURRENT_LIST_DIR}/consumer" -B "${SCRATCH}/host" ${options}
    -DMODE=find_package "-DVERSION=${VERSION}" "-DCMAKE_PREFIX_PATH=${SCRATCH}/prefix")
run("${CMAKE_COMMAND}" --build "${SCRATCH}/host" --target host)
check_host("${SCRATCH}/host/host")
file(GLOB_RECURSE pc "${SCRATCH}/prefix/*/bureau.pc")
get_filename_component(pc_folder "${pc}" DIRECTORY)
run("${CMAKE_COMMAND}" -E env "PKG_CONFIG_PATH=${pc_folder}" pkg-config --cflags --libs bureau)
separate_arguments(flags UNIX_COMMAND "${output}")
run("${COMPILER}" -std=c++20 "${CMAKE_CURRENT_LIST_DIR}/consumer/host.cpp" -o
    "${SCRATCH}/by_pkg_config" ${flags})
check_host("${SCRATCH}/by_pkg_config")
