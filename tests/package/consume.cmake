# Builds the tiny host in consumer/ against bureau, in the way that MODE names, and runs it.
cmake_minimum_required(VERSION 3.22)

include("${CMAKE_CURRENT_LIST_DIR}/run.cmake")

file(REMOVE_RECURSE "${SCRATCH}")
set(build "${SCRATCH}")
set(options -G Ninja "-DCMAKE_CXX_COMPILER=${COMPILER}" -DMODE=${MODE} -DVERSION=${VERSION}
            -DCMAKE_BUILD_TYPE=RelWithDebInfo)
if(MODE STREQUAL "find_package")
  set(build "${SCRATCH}/build")
  # Installed, then moved: nothing of where it was built or first installed may matter.
  run("${CMAKE_COMMAND}" --install "${BUILD}" --prefix "${SCRATCH}/first")
  file(RENAME "${SCRATCH}/first" "${SCRATCH}/prefix")
  file(GLOB_RECURSE installed "${SCRATCH}/prefix/*.cmake" "${SCRATCH}/prefix/*.pc")
  foreach(file IN LISTS installed)
    file(READ "${file}" text)
    foreach(path IN ITEMS "${SOURCE}" "${SCRATCH}/first" "PkgConfig::")
      string(FIND "${text}" "${path}" at)
      if(NOT at EQUAL -1)
        message(FATAL_ERROR "${file} names ${path}")
      endif()
    endforeach()
  endforeach()
  list(APPEND options "-DCMAKE_PREFIX_PATH=${SCRATCH}/prefix")
  # The SBOM names what the list of licences does, and both are installed.
  file(GLOB_RECURSE sbom "${SCRATCH}/prefix/share/doc/*/bureau.spdx")
  file(GLOB_RECURSE licences "${SCRATCH}/prefix/share/doc/*/licences.md")
  file(STRINGS "${sbom}" packages REGEX "^PackageName: ")
  file(READ "${licences}" licences)
  foreach(package IN LISTS packages)
    string(REPLACE "PackageName: " "" package "${package}")
    string(FIND "${licences}" "| ${package} |" at)
    if(at EQUAL -1 AND NOT package STREQUAL "bureau")
      message(FATAL_ERROR "docs/licences.md does not list ${package}, which the SBOM names")
    endif()
  endforeach()
else()
  # Makefiles compile in the folder of the guest: with that beside ours, and ours' options, each
  # command is the one that the compiler cache knows.
  set(build "${SCRATCH}-host")
  file(REMOVE_RECURSE "${build}")
  list(REMOVE_ITEM options -G Ninja)
  list(APPEND options -G "Unix Makefiles" "-DBUREAU_FOLDER=${SOURCE}" "-DBUREAU_BINARIES=${SCRATCH}"
                      "-DBUREAU_UNITY=${UNITY}" "-DBUREAU_PCH=${PCH}"
                      "-DCMAKE_CXX_FLAGS_RELWITHDEBINFO=${FLAGS}")
  if(CCACHE)
    set(ENV{CCACHE_NOHASHDIR} 1)
    set(ENV{CCACHE_BASEDIR} "${SOURCE}")
    set(ENV{CCACHE_SLOPPINESS} pch_defines,time_macros)
    list(APPEND options "-DCMAKE_CXX_COMPILER_LAUNCHER=${CCACHE}")
  endif()
endif()

run("${CMAKE_COMMAND}" -S "${CMAKE_CURRENT_LIST_DIR}/consumer" -B "${build}" ${options})
run("${CMAKE_COMMAND}" --build "${build}" --parallel 2 --target host)
run("${build}/host")
if(NOT output STREQUAL "${VERSION}\n")
  message(FATAL_ERROR "the host printed `${output}`, not the version ${VERSION}")
endif()

if(MODE STREQUAL "find_package")
  # And without CMake.
  file(GLOB_RECURSE pc "${SCRATCH}/prefix/*/bureau.pc")
  get_filename_component(pc_folder "${pc}" DIRECTORY)
  run("${CMAKE_COMMAND}" -E env "PKG_CONFIG_PATH=${pc_folder}" pkg-config --cflags --libs bureau)
  separate_arguments(flags UNIX_COMMAND "${output}")
  run("${COMPILER}" -std=c++20 "${CMAKE_CURRENT_LIST_DIR}/consumer/host.cpp" -o
      "${SCRATCH}/by_pkg_config" ${flags})
  run("${SCRATCH}/by_pkg_config")
endif()
