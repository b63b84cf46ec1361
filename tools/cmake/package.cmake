# `cpack -G DEB`: Debian packages of the library (libvarlstm0), of what compiles against it (libvarlstm-dev), and of the
# tagger (varlstm-tagger). tools/deb.sh builds them as Debian wants them, and checks them.
# SPDX-License-Identifier: Apache-2.0
find_program(VARLSTM_DPKG dpkg)
find_program(VARLSTM_GZIP gzip)
if(NOT VARLSTM_DPKG OR NOT VARLSTM_GZIP)
  return()
endif()

# 0.x may change its ABI with each minor version (varlstm.h, VERSION AND ERRORS), so nothing is promised beyond it.
math(EXPR next_minor "${PROJECT_VERSION_MINOR} + 1")
set(revision 1)
set(runtime_package libvarlstm${PROJECT_VERSION_MAJOR})
set(runtime_dependency "${runtime_package} (>= ${PROJECT_VERSION}), ${runtime_package} (<< ${PROJECT_VERSION_MAJOR}.${next_minor}~)")
set(packaging ${PROJECT_SOURCE_DIR}/tools/packaging/deb)
set(made ${PROJECT_BINARY_DIR}/packaging)
configure_file(${packaging}/shlibs.in ${made}/shlibs @ONLY)
configure_file(${packaging}/triggers ${made}/triggers COPYONLY)

# compressed(<file> <result>): as Debian's policy has it, without name and time.
function(compressed file result)
  execute_process(COMMAND ${VARLSTM_GZIP} -9nc ${file} OUTPUT_FILE ${result} COMMAND_ERROR_IS_FATAL ANY)
endfunction()
compressed(${packaging}/changelog ${made}/changelog.Debian.gz)
compressed(${packaging}/varlstm-tagger.1 ${made}/varlstm-tagger.1.gz)

# package(<component> <package> <section> <depends> <summary> <description>)
macro(package component name section depends summary description)
  string(TOUPPER ${component} upper)
  set(CPACK_DEBIAN_${upper}_PACKAGE_NAME ${name})
  set(CPACK_DEBIAN_${upper}_PACKAGE_SECTION ${section})
  set(CPACK_DEBIAN_${upper}_PACKAGE_DEPENDS "${depends}")
  set(CPACK_DEBIAN_${upper}_DESCRIPTION "${summary}\n${description}")
  # Not part of `cmake --install`.
  install(FILES ${packaging}/copyright ${made}/changelog.Debian.gz
          DESTINATION ${CMAKE_INSTALL_DATAROOTDIR}/doc/${name} COMPONENT ${component} EXCLUDE_FROM_ALL)
endmacro()
package(runtime ${runtime_package} libs "" "recurrent networks over sequences of different lengths"
  "LSTM, GRU and RNN over mini-batches whose sequences have different lengths,
with every gradient, from token ids to the loss. Padding is never computed, and
a sequence's result has the same bits whatever else is in the batch.")
package(dev libvarlstm-dev libdevel "${runtime_package} (= ${PROJECT_VERSION}-${revision})"
  "recurrent networks over sequences of different lengths (development)"
  "The headers varlstm.h for C and varlstm.hpp for C++, a CMake package and a
pkg-config file.")
set(components runtime dev)
if(TARGET varlstm-tagger)
  package(tagger varlstm-tagger science "${runtime_dependency}" "part-of-speech tagger that learns from CoNLL-U files"
    "Learns tags from sentences in the format CoNLL-U by an embedding, features of
characters and a bidirectional LSTM, measures them and tags other sentences.")
  install(FILES ${made}/varlstm-tagger.1.gz DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT tagger EXCLUDE_FROM_ALL)
  list(APPEND components tagger)
endif()

set(CPACK_GENERATOR DEB)
set(CPACK_COMPONENTS_ALL ${components})
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_PACKAGE_NAME varlstm)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "")  # each package has its own
set(CPACK_PACKAGE_CONTACT "libvarlstm maintainers <maintainers@varlstm.invalid>")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE ${revision})
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${CMAKE_LIBRARY_OUTPUT_DIRECTORY})
set(CPACK_DEBIAN_RUNTIME_PACKAGE_CONTROL_EXTRA ${made}/shlibs ${made}/triggers)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_POST_BUILD_SCRIPTS ${PROJECT_SOURCE_DIR}/tools/cmake/deb_repack.cmake)
include(CPack)
