# Install rules: headers, libraries, the CMake package (bureau::bureau, bureau::testing, bureau::http,
# bureau::postgres) and a pkg-config file. tests/package proves that a host can use each.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(bureau_cmake_dir "${CMAKE_INSTALL_LIBDIR}/cmake/bureau")
set(bureau_installed bureau)
foreach(target IN ITEMS bureau_testing bureau_sqlite)
  if(TARGET ${target})
    list(APPEND bureau_installed ${target})
  endif()
endforeach()

# bureau_install_targets(export target...): with an export of that name.
function(bureau_install_targets export)
  install(TARGETS ${ARGN} EXPORT ${export}
          ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}"
          LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}"
          RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}"
          INCLUDES DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
  install(EXPORT ${export} NAMESPACE bureau:: DESTINATION "${bureau_cmake_dir}")
endfunction()

bureau_install_targets(bureauTargets ${bureau_installed})
set(bureau_left_out "")
# An export of its own for each: whoever does not ask for it is not asked for its library.
if(TARGET bureau_http)
  bureau_install_targets(bureauHttpTargets bureau_http)
else()
  list(APPEND bureau_left_out PATTERN "http" EXCLUDE)
endif()
if(TARGET bureau_postgres)
  bureau_install_targets(bureauPostgresTargets bureau_postgres)
else()
  list(APPEND bureau_left_out PATTERN "postgres_storage.hpp" EXCLUDE PATTERN "row_security.hpp" EXCLUDE)
endif()
install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/bureau"
        DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" FILES_MATCHING PATTERN "*.hpp" ${bureau_left_out})

configure_package_config_file("${CMAKE_CURRENT_LIST_DIR}/bureauConfig.cmake.in"
                              "${PROJECT_BINARY_DIR}/package/bureauConfig.cmake"
                              INSTALL_DESTINATION "${bureau_cmake_dir}"
                              NO_SET_AND_CHECK_MACRO)
# Before 1.0 a minor version may break a host.
write_basic_package_version_file("${PROJECT_BINARY_DIR}/package/bureauConfigVersion.cmake"
                                 COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/package/bureauConfig.cmake"
              "${PROJECT_BINARY_DIR}/package/bureauConfigVersion.cmake"
              "${CMAKE_CURRENT_LIST_DIR}/FindBureauSodium.cmake"
        DESTINATION "${bureau_cmake_dir}")

include("${CMAKE_CURRENT_LIST_DIR}/BureauSbom.cmake")
install(FILES "${PROJECT_BINARY_DIR}/package/bureau.spdx" "${PROJECT_SOURCE_DIR}/LICENSE"
              "${PROJECT_SOURCE_DIR}/docs/licences.md"
        DESTINATION "${CMAKE_INSTALL_DOCDIR}")

# Relative to the file itself, so that the installed tree may be moved.
file(RELATIVE_PATH bureau_pc_prefix "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
configure_file("${CMAKE_CURRENT_LIST_DIR}/bureau.pc.in"
               "${PROJECT_BINARY_DIR}/package/bureau.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/package/bureau.pc"
        DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
