package shell

import (
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"math"
	"net/netip"

	"github.com/ncruces/go-sqlite3"
)

// communityIDStrict is community_id_v1_strict(source address, destination
// address, source port, destination port, protocol [, seed]), the Community ID of
// a flow; communityIDOrNull is NULL for what this is an error for. As osquery's,
// both take ICMP types for the ports that they are given as.
func communityIDStrict(ctx sqlite3.Context, arg ...sqlite3.Value) {
	if id, err := communityID(arg); err != nil {
		ctx.ResultError(err)
	} else {
		ctx.ResultText(id)
	}
}

func communityIDOrNull(ctx sqlite3.Context, arg ...sqlite3.Value) {
	if id, err := communityID(arg); err == nil {
		ctx.ResultText(id)
	}
}

func communityID(arg []sqlite3.Value) (string, error) {
	var seed int64
	if len(arg) == 6 {
		if arg[5].Type() != sqlite3.INTEGER {
			return "", osqueryError("Community ID seed must be an integer")
		}
		if seed = arg[5].Int64(); seed < math.MinInt16 || seed > math.MaxInt16 {
			return "", osqueryError("Community ID seed must fit in 2 bytes")
		}
	}
	if arg[0].Type() != sqlite3.TEXT || arg[1].Type() != sqlite3.TEXT {
		return "", osqueryError("Community ID IPs must be strings")
	}
	from, err := netip.ParseAddr(text(arg[0]))
	if err != nil {
		return "", osqueryError("Community ID saddr cannot be parsed as IP")
	}
	to, err := netip.ParseAddr(text(arg[1]))
	if err != nil {
		return "", osqueryError("Community ID daddr cannot be parsed as IP")
	}
	if arg[2].Type() != sqlite3.INTEGER || arg[3].Type() != sqlite3.INTEGER {
		return "", osqueryError("Community ID ports must be integers")
	}
	fromPort, toPort := arg[2].Int64(), arg[3].Int64()
	if min(fromPort, toPort) < 0 || max(fromPort, toPort) > math.MaxUint16 {
		return "", osqueryError("Community ID ports must fit in 2 bytes")
	}
	if arg[4].Type() != sqlite3.INTEGER {
		return "", osqueryError("Community ID protocol must be an integer")
	}
	protocol := arg[4].Int64()
	if protocol < 0 || protocol > math.MaxUint8 {
		return "", osqueryError("Community ID protocol must fit in 1 byte")
	}
	if c := from.Compare(to); c > 0 || c == 0 && fromPort >= toPort {
		from, to, fromPort, toPort = to, from, toPort, fromPort
	}
	b := binary.BigEndian.AppendUint16(nil, uint16(seed))
	b = append(append(b, from.AsSlice()...), to.AsSlice()...)
	b = append(b, byte(protocol), 0)
	b = binary.BigEndian.AppendUint16(b, uint16(fromPort))
	b = binary.BigEndian.AppendUint16(b, uint16(toPort))
	sum := sha1.Sum(b)
	return "1:" + base64.StdEncoding.EncodeToString(sum[:]), nil
}
