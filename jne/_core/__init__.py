"""What every wing uses: files and their cache, memory, the device, texts."""
