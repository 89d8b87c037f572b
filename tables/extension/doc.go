// Package extension is the osquery extension: it registers tables with osquery, and answers
// its queries over a socket of its own until osquery goes away. It speaks Thrift itself,
// because rows that become maps first cost more than everything else together. The files:
//
//	extension.go  Extension: registers with osquery, and goes when that has gone
//	server*.go    connections
//	thrift.go, request.go   what osquery sends
//	queue.go, answer.go   the queries in line, and what each of them asks for
//	response.go, memory.go   the answer, and what it costs osquery
//	log.go, counters.go   what a table warns of, what is counted
package extension
