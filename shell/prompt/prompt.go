// Package prompt is where statements are typed: lines are edited, remembered and completed, and what
// was typed is run in a shell.Session.
package prompt

import _ "github.com/peterh/liner" // edits lines
