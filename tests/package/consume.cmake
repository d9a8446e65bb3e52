# Builds the tiny host in consumer/ against bureau, in the way that MODE names, and runs it.
cmake_minimum_required(VERSION 3.22)

function(run)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE failed OUTPUT_VARIABLE output
                  ERROR_VARIABLE output)
  if(failed)
    list(JOIN ARGV " " command)
    message(FATAL_ERROR "failed: ${command}\n${output}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

file(REMOVE_RECURSE "${SCRATCH}")
set(options -G Ninja "-DCMAKE_CXX_COMPILER=${COMPILER}" -DMODE=${MODE} -DVERSION=${VERSION}
            -DCMAKE_BUILD_TYPE=RelWithDebInfo)
if(MODE STREQUAL "find_package")
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
else()
  list(APPEND options "-DBUREAU_FOLDER=${SOURCE}" "-DCMAKE_CXX_FLAGS_RELWITHDEBINFO=${FLAGS}"
              "-DCMAKE_CXX_COMPILER_LAUNCHER=${LAUNCHER}")
endif()

run("${CMAKE_COMMAND}" -S "${CMAKE_CURRENT_LIST_DIR}/consumer" -B "${SCRATCH}/build" ${options})
run("${CMAKE_COMMAND}" --build "${SCRATCH}/build" --target host)
run("${SCRATCH}/build/host")
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
