# A port of this checkout, without programs: vcpkg install varlstm --overlay-ports=tools/packaging/vcpkg
# SPDX-License-Identifier: Apache-2.0
get_filename_component(SOURCE_PATH "${CURRENT_PORT_DIR}/../../../.." ABSOLUTE)
vcpkg_check_linkage(ONLY_DYNAMIC_LIBRARY)
vcpkg_check_features(OUT_FEATURE_OPTIONS feature_options FEATURES cuda VARLSTM_CUDA)
vcpkg_cmake_configure(
  SOURCE_PATH "${SOURCE_PATH}"
  OPTIONS
    -DVARLSTM_OPENBLAS=OFF
    -DVARLSTM_BUILD_TESTS=OFF
    -DVARLSTM_BUILD_BENCH=OFF
    -DVARLSTM_BUILD_TOOLS=OFF
    ${feature_options})
vcpkg_cmake_install()
vcpkg_cmake_config_fixup(PACKAGE_NAME varlstm CONFIG_PATH lib/cmake/varlstm)
vcpkg_fixup_pkgconfig()
file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/debug/include" "${CURRENT_PACKAGES_DIR}/debug/share")
vcpkg_install_copyright(FILE_LIST "${SOURCE_PATH}/LICENSE")
