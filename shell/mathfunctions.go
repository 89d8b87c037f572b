package shell

import (
	"math"

	"github.com/ncruces/go-sqlite3"
)

// The errors of C's mathematical functions, in the words of strerror.
const (
	errDomain = osqueryError("Numerical argument out of domain")
	errRange  = osqueryError("Numerical result out of range")
)

// mathFunction is a function of one number. NULL gives NULL.
func mathFunction(f func(float64) (float64, error)) sqlite3.ScalarFunction {
	return func(ctx sqlite3.Context, arg ...sqlite3.Value) {
		if !anyNull(arg) {
			resultReal(ctx)(f(arg[0].Float()))
		}
	}
}

func resultReal(ctx sqlite3.Context) func(float64, error) {
	return func(v float64, err error) {
		if err != nil {
			ctx.ResultError(err)
			return
		}
		ctx.ResultFloat(v)
	}
}

// checked returns y = f(x) as C's library does, which sets errno where y is not
// a number or infinite and x is not.
func checked(x, y float64) (float64, error) {
	switch {
	case math.IsNaN(y):
		return 0, errDomain
	case math.IsInf(y, 0) && !math.IsInf(x, 0):
		return 0, errRange
	}
	return y, nil
}

func sqrt(x float64) (float64, error)  { return checked(x, math.Sqrt(x)) }
func log(x float64) (float64, error)   { return checked(x, math.Log(x)) }
func log10(x float64) (float64, error) { return checked(x, math.Log10(x)) }
func sin(x float64) (float64, error)   { return checked(x, math.Sin(x)) }
func cos(x float64) (float64, error)   { return checked(x, math.Cos(x)) }
func tan(x float64) (float64, error)   { return checked(x, math.Tan(x)) }
func asin(x float64) (float64, error)  { return checked(x, math.Asin(x)) }
func acos(x float64) (float64, error)  { return checked(x, math.Acos(x)) }
func atan(x float64) (float64, error)  { return checked(x, math.Atan(x)) }

func cot(x float64) (float64, error) {
	y, err := tan(x)
	return 1 / y, err
}

// osquery calculates these without asking for errno.
func degrees(x float64) (float64, error) { return 180 * x / math.Pi, nil }
func radians(x float64) (float64, error) { return x * math.Pi / 180, nil }

// exp is expl in osquery, whose long double holds more than the result can.
func exp(x float64) (float64, error) {
	const largest, smallest = 11356.5234062941439488, -11399.498531488860558
	if !math.IsInf(x, 0) && (x > largest || x < smallest) {
		return 0, errRange
	}
	return math.Exp(x), nil
}

func power(ctx sqlite3.Context, arg ...sqlite3.Value) {
	if anyNull(arg) {
		return
	}
	x, y := arg[0].Float(), arg[1].Float()
	z := math.Pow(x, y)
	finite := !math.IsInf(x, 0) && !math.IsInf(y, 0)
	switch {
	case math.IsNaN(z):
		ctx.ResultError(errDomain)
	case finite && (math.IsInf(z, 0) || z == 0 && x != 0):
		ctx.ResultError(errRange)
	default:
		ctx.ResultFloat(z)
	}
}

func pi(ctx sqlite3.Context, _ ...sqlite3.Value) { ctx.ResultFloat(math.Pi) }

func ceil(ctx sqlite3.Context, arg ...sqlite3.Value)  { rounded(ctx, arg[0], math.Ceil) }
func floor(ctx sqlite3.Context, arg ...sqlite3.Value) { rounded(ctx, arg[0], math.Floor) }

// rounded returns an integer, which SQLite's own ceil and floor do not.
func rounded(ctx sqlite3.Context, v sqlite3.Value, round func(float64) float64) {
	switch v.Type() {
	case sqlite3.NULL:
	case sqlite3.INTEGER:
		ctx.ResultInt64(v.Int64())
	default:
		ctx.ResultInt64(int64(round(v.Float())))
	}
}
