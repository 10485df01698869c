using GptFunctions.Hosting;

namespace GptFunctions.Tests.Hosting;

/// <summary>What limits by address count: who has one IPv6 address has its whole /64.</summary>
public sealed class OccasionTests
{
    [Theory]
    [InlineData("192.0.2.7", "192.0.2.7")]
    [InlineData("::ffff:192.0.2.7", "192.0.2.7")]
    [InlineData("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64")]
    [InlineData("2001:0DB8:0001:0002:ffff:ffff:ffff:ffff", "2001:db8:1:2::/64")]
    [InlineData("2001:db8::1", "2001:db8::/64")]
    [InlineData("::1", "::/64")]
    [InlineData("fe80::1%3", "fe80::/64")]
    [InlineData("unknown", "unknown")]
    [InlineData("replay", "replay")]
    public void Network_is_the_address_of_ipv4_and_the_64_of_ipv6(string address, string network) =>
        Assert.Equal(network, new Occasion(TimeProvider.System.GetUtcNow(), "correlation", address).Network);
}
