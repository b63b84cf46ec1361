# What `cmake --install` puts where: headers, library, CMake package, pkg-config file, programs.
# Everything refers to its own place, so the installed tree may be moved. Components are what package.cmake makes
# packages of: `runtime` (the library), `dev` (what compiles against it), `tagger`.
# SPDX-License-Identifier: Apache-2.0
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/varlstm)

install(TARGETS varlstm EXPORT varlstm-targets
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime NAMELINK_COMPONENT dev
        INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES capi/include/varlstm.h capi/include/varlstm.hpp DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT dev)
install(DIRECTORY capi/include/varlstm DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT dev)
install(FILES LICENSE README.md DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT documents)
if(TARGET varlstm-tagger)
  install(TARGETS varlstm-tagger RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT tagger)
endif()
if(TARGET varlstm-bench)
  install(TARGETS varlstm-bench RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT bench)
endif()

install(EXPORT varlstm-targets NAMESPACE varlstm:: DESTINATION ${package_dir} COMPONENT dev)
configure_package_config_file(tools/cmake/varlstm-config.cmake.in ${PROJECT_BINARY_DIR}/cmake/varlstm-config.cmake
                              INSTALL_DESTINATION ${package_dir})
# Version 0.x may change between minor versions (varlstm.h, VERSION AND ERRORS).
write_basic_package_version_file(${PROJECT_BINARY_DIR}/cmake/varlstm-config-version.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/cmake/varlstm-config.cmake ${PROJECT_BINARY_DIR}/cmake/varlstm-config-version.cmake
        DESTINATION ${package_dir} COMPONENT dev)

# The way from the .pc file's folder up to the prefix.
file(RELATIVE_PATH pc_to_prefix ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
configure_file(tools/cmake/varlstm.pc.in ${PROJECT_BINARY_DIR}/cmake/varlstm.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/cmake/varlstm.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT dev)
