using System.Net;
using GptFunctions.Gateway;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Gateway;

public sealed class OpenCallsFixture : GatewayFixture<OpenCallsTests>
{
    protected override IEnumerable<KeyValuePair<string, string?>> Settings => [new("GATEWAY_OPEN_CALLS_PER_USER", "2"), new("GATEWAY_OPEN_CALLS", "3")];
}

/// <summary>Long streams: a user, and all together, may hold so many calls open and no more, and each place is given back however its call ends.</summary>
public sealed class OpenCallsTests(OpenCallsFixture fixture) : IClassFixture<OpenCallsFixture>
{
    private readonly TestApp app = fixture.App;
    private readonly HttpClient http = fixture.App.Http;
    private readonly OpenCalls calls = fixture.App.Get<OpenCalls>();

    [Fact]
    public async Task Calls_beyond_the_limits_are_429_for_the_user_and_503_for_all_until_one_ends()
    {
        var (one, other, third) = (await fixture.Users.AddAsync(), await fixture.Users.AddAsync(), await fixture.Users.AddAsync());
        using var first = await StreamAsync(one);
        using var second = await StreamAsync(one);

        using var tooMany = await http.CallAsync(one.Token, "/gpt/echo");

        Assert.Equal((HttpStatusCode.TooManyRequests, TimeSpan.FromSeconds(5)), (tooMany.StatusCode, tooMany.Headers.RetryAfter?.Delta));
        Assert.Equal("TOO_MANY_OPEN_CALLS", (await tooMany.ProblemAsync()).GetProperty("code").GetString());
        Assert.False(tooMany.Headers.Contains("RateLimit")); // nothing was taken from it
        using var last = await StreamAsync(other);
        using var busy = await http.CallAsync(third.Token, "/gpt/echo");
        Assert.Equal((HttpStatusCode.ServiceUnavailable, TimeSpan.FromSeconds(2)), (busy.StatusCode, busy.Headers.RetryAfter?.Delta));
        Assert.Equal("GATEWAY_BUSY", (await busy.ProblemAsync()).GetProperty("code").GetString());

        first.Dispose();
        await Wait.UntilAsync(() => calls.Count == 2);
        await http.EchoAsync(one);

        second.Dispose();
        last.Dispose();
        await Wait.UntilAsync(() => calls.Count == 0); // so many do the other tests begin with
    }

    public static TheoryData<string> Ends { get; } = [
        "answered", "hung up", "timed out", "broken off", "unreachable", "refused by the rate", "failed by a bug",
    ];

    [Theory]
    [MemberData(nameof(Ends))]
    public async Task Place_of_a_call_is_given_back_when_it_was(string end)
    {
        var user = await fixture.Users.AddAsync();

        await EndAsync(user, end);

        await Wait.UntilAsync(() => calls.Count == 0);
    }

    private async Task EndAsync(GatewayUser user, string end)
    {
        switch (end)
        {
            case "answered":
                await http.EchoAsync(user);
                break;
            case "hung up":
                using (await StreamAsync(user))
                {
                    Assert.Equal(1, calls.Count);
                }

                break;
            case "timed out":
                Assert.Equal(HttpStatusCode.GatewayTimeout, await StatusAsync(user, "/gpt/open/slow"));
                break;
            case "broken off":
                await Assert.ThrowsAsync<HttpRequestException>(() => StatusAsync(user, "/gpt/open/torn"));
                break;
            case "unreachable":
                Assert.Equal(HttpStatusCode.BadGateway, await StatusAsync(user, "/gpt/dead"));
                break;
            case "refused by the rate":
                await Wait.UntilAsync(async () => await StatusAsync(user, "/gpt/echo") == HttpStatusCode.TooManyRequests);
                break;
            default:
                await app.Database.ExecuteAsync("ALTER TABLE outbox_messages RENAME TO hidden");
                Assert.InRange((int)await StatusAsync(user, "/gpt/expensive"), 500, 599);
                await app.Database.ExecuteAsync("ALTER TABLE hidden RENAME TO outbox_messages");
                break;
        }
    }

    private async Task<HttpResponseMessage> StreamAsync(GatewayUser user)
    {
        var response = await http.CallAsync(user.Token, "/gpt/stream/events", completion: HttpCompletionOption.ResponseHeadersRead);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        return response;
    }

    private async Task<HttpStatusCode> StatusAsync(GatewayUser user, string path)
    {
        using var response = await http.CallAsync(user.Token, path);
        return response.StatusCode;
    }
}
