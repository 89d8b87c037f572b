package tables

// ForgetAdvice makes the tables say again what was said of late.
func ForgetAdvice() { recent = adviceMemory{} }
