// Empty on purpose: this translation unit exists so that CMake builds the precompiled headers once.
