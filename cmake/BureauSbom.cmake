# Writes package/bureau.spdx: bureau and what it links, with the versions of this build (SPDX 2.3).
# docs/licences.md lists the same for people; tests/package compares the two.

set(bureau_spdx_packages "")
function(bureau_spdx name version licence)
  set(relation "Relationship: SPDXRef-bureau DEPENDS_ON SPDXRef-${name}\n")
  if(name STREQUAL "bureau")
    set(relation "Relationship: SPDXRef-DOCUMENT DESCRIBES SPDXRef-bureau\n")
  endif()
  if(version STREQUAL "")
    set(version NOASSERTION)
  endif()
  string(CONCAT text "PackageName: ${name}\nSPDXID: SPDXRef-${name}\nPackageVersion: ${version}\n"
    "PackageDownloadLocation: NOASSERTION\nFilesAnalyzed: false\n"
    "PackageLicenseConcluded: ${licence}\nPackageLicenseDeclared: ${licence}\n"
    "PackageCopyrightText: NOASSERTION\n${relation}\n")
  set(bureau_spdx_packages "${bureau_spdx_packages}${text}" PARENT_SCOPE)
endfunction()

# The version that pkg-config knows, where CMake's package does not say.
find_package(PkgConfig QUIET)
function(bureau_version_of module variable)
  set(found "")
  if(PKG_CONFIG_EXECUTABLE)
    execute_process(COMMAND "${PKG_CONFIG_EXECUTABLE}" --modversion ${module}
      OUTPUT_VARIABLE found OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  endif()
  set(${variable} "${found}" PARENT_SCOPE)
endfunction()
bureau_version_of(libsodium sodium_version)
bureau_version_of(libcurl curl_version)
bureau_version_of(libpq libpq_version)

bureau_spdx(bureau "${PROJECT_VERSION}" MIT)
bureau_spdx(SQLite "${SQLite3_VERSION}" blessing)
bureau_spdx(SQLiteCpp "${SQLiteCpp_VERSION}" MIT)
bureau_spdx(fmt "${fmt_VERSION}" MIT)
bureau_spdx(tl-expected "${tl-expected_VERSION}" CC0-1.0)
bureau_spdx(date "${date_VERSION}" MIT)
bureau_spdx(nlohmann-json "${nlohmann_json_VERSION}" MIT)
bureau_spdx(valijson "" BSD-2-Clause)  # its package does not say
bureau_spdx(libsodium "${sodium_version}" ISC)
if(TARGET bureau_http)
  bureau_spdx(libcurl "${curl_version}" curl)
endif()
if(TARGET bureau_postgres)
  bureau_spdx(libpq "${libpq_version}" PostgreSQL)
endif()
string(TIMESTAMP bureau_spdx_created "%Y-%m-%dT%H:%M:%SZ" UTC)
configure_file("${CMAKE_CURRENT_LIST_DIR}/bureau.spdx.in"
               "${PROJECT_BINARY_DIR}/package/bureau.spdx" @ONLY)
