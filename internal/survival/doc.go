// Package survival is tests alone: what the built program does when osquery, other peers, the
// kernel or the host misbehave. After each, no row is lost or wrong, the log has one clear line,
// and the process serves again or has ended with a status that is not 0.
package survival
