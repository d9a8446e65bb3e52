# Finds libsodium and makes bureau::sodium. A module of our own, installed beside bureauConfig.cmake,
# because an exported target may not name a target that pkg-config made: whoever links the installed library
# would have to know that pkg-config was used to build it.
if(NOT TARGET bureau::sodium)
  find_path(BUREAU_SODIUM_INCLUDE_DIR sodium.h)
  find_library(BUREAU_SODIUM_LIBRARY sodium)
  mark_as_advanced(BUREAU_SODIUM_INCLUDE_DIR BUREAU_SODIUM_LIBRARY)
  include(FindPackageHandleStandardArgs)
  find_package_handle_standard_args(BureauSodium REQUIRED_VARS BUREAU_SODIUM_LIBRARY
                                                               BUREAU_SODIUM_INCLUDE_DIR)
  if(BureauSodium_FOUND)
    add_library(bureau::sodium UNKNOWN IMPORTED)
    set_target_properties(bureau::sodium PROPERTIES
      IMPORTED_LOCATION "${BUREAU_SODIUM_LIBRARY}"
      INTERFACE_INCLUDE_DIRECTORIES "${BUREAU_SODIUM_INCLUDE_DIR}")
  endif()
else()
  set(BureauSodium_FOUND TRUE)
endif()
