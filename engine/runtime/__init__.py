"""The process and its machine: devices, threads, logs, folders."""
