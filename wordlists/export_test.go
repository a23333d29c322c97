package wordlists

// LoadCMU is what CMU does once.
var LoadCMU = loadCMU
