"""Files: volumes that are read, data sets, designs, exports."""
