using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Hosting;

/// <summary>hosting.md 15: a well-formed x-correlation-id or W3C trace id is taken over, anything else replaced; the id is echoed.</summary>
public sealed class CorrelationTests(AppFixture<CorrelationTests> fixture) : IClassFixture<AppFixture<CorrelationTests>>
{
    private const string TraceId = "0af7651916cd43dd8448eb211c80319c";
    private const string TraceParent = $"00-{TraceId}-b7ad6b7169203331-01";

    [Theory]
    [InlineData("a")]
    [InlineData("req_1.2:3-4")]
    [InlineData("01890a5d-ac96-774b-bcce-b302099a8057")]
    public async Task Well_formed_id_is_echoed(string id) => Assert.Equal(id, await SendAsync(("x-correlation-id", id)));

    [Fact]
    public async Task Id_of_128_characters_is_echoed_and_a_longer_one_replaced()
    {
        Assert.Equal(new string('a', 128), await SendAsync(("x-correlation-id", new string('a', 128))));
        AssertIsNew(await SendAsync(("x-correlation-id", new string('a', 129))));
    }

    [Theory]
    [InlineData("")]
    [InlineData("two words")]
    [InlineData("<script>")]
    [InlineData("line\tbreak")]
    [InlineData("id;drop")]
    public async Task Malformed_id_is_replaced(string id) => AssertIsNew(await SendAsync(("x-correlation-id", id)));

    [Fact]
    public async Task Repeated_id_is_replaced() => AssertIsNew(await SendAsync(("x-correlation-id", "one"), ("x-correlation-id", "two")));

    [Fact]
    public async Task Missing_id_is_made_and_differs_each_time()
    {
        var first = await SendAsync();
        AssertIsNew(first);
        Assert.NotEqual(first, await SendAsync());
    }

    [Fact]
    public async Task Trace_id_is_used_unless_an_id_is_given()
    {
        Assert.Equal(TraceId, await SendAsync(("traceparent", TraceParent)));
        Assert.Equal("mine", await SendAsync(("traceparent", TraceParent), ("x-correlation-id", "mine")));
        AssertIsNew(await SendAsync(("traceparent", "00-nonsense-01")));
    }

    private static void AssertIsNew(string id)
    {
        Assert.Equal(32, id.Length);
        Assert.True(id.All(char.IsAsciiHexDigitLower), id);
    }

    private async Task<string> SendAsync(params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri("/health", UriKind.Relative));
        foreach (var (name, value) in headers)
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }

        using var answer = await fixture.App.Http.SendAsync(request);
        return Assert.Single(answer.Headers.GetValues("x-correlation-id"));
    }
}
