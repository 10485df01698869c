using System.Net;
using System.Net.Http.Headers;
using System.Text;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.OAuth;

/// <summary>oauth.md 9: whatever is sent to the clients' endpoints, the answer is a 4xx in JSON that says what is wrong.</summary>
public sealed class BadInputTests(AppFixture<BadInputTests> fixture) : IClassFixture<AppFixture<BadInputTests>>
{
    private const string Form = "application/x-www-form-urlencoded";
    private readonly OAuthFlow flow = fixture.Flow;

    public static TheoryData<string> Endpoints => ["/oauth/token", "/oauth/revoke", "/oauth/introspect"];

    [Theory]
    [MemberData(nameof(Endpoints))]
    public async Task Methods_other_than_POST_are_405(string path)
    {
        foreach (var method in (string[])["GET", "PUT", "PATCH", "DELETE", "HEAD"])
        {
            using var request = new HttpRequestMessage(new HttpMethod(method), path);
            var answer = await flow.SendAsync(request);

            Assert.Equal(HttpStatusCode.MethodNotAllowed, answer.Status);
            Assert.True(method == "HEAD" ? answer.Text.Length == 0 : answer["error_description"]!.Contains("POST", StringComparison.Ordinal), answer.Text);
        }
    }

    /// <summary>Not a method that a trigger can list: the Functions host answers 404, and so does the standalone one.</summary>
    [Theory]
    [MemberData(nameof(Endpoints))]
    public async Task Unknown_method_is_404(string path)
    {
        using var request = new HttpRequestMessage(new HttpMethod("BREW"), path);

        Assert.Equal(HttpStatusCode.NotFound, (await flow.SendAsync(request)).Status);
    }

    /// <summary>oauth.md 9: the commonest mistake gets an answer that helps.</summary>
    [Theory]
    [MemberData(nameof(Endpoints))]
    public async Task JSON_body_is_invalid_request_that_says_so(string path)
    {
        var answer = await PostAsync(path, """{"grant_type":"refresh_token"}"""u8.ToArray(), "application/json");

        AssertInvalidRequest(answer, "application/x-www-form-urlencoded, not application/json");
    }

    [Theory]
    [InlineData("text/plain")]
    [InlineData("multipart/form-data; boundary=x")]
    [InlineData("application/x-www-form-urlencoded-not")]
    [InlineData(null)]
    public async Task Other_media_types_are_invalid_request(string? mediaType) =>
        AssertInvalidRequest(await PostAsync("/oauth/token", "grant_type=refresh_token"u8.ToArray(), mediaType), "application/x-www-form-urlencoded");

    [Fact]
    public async Task Media_type_may_carry_a_charset_and_any_case()
    {
        var answer = await PostAsync("/oauth/token", "grant_type=refresh_token"u8.ToArray(), "Application/X-WWW-Form-URLencoded; charset=UTF-8");

        Assert.Equal("invalid_client", answer.Error); // read, and found to lack credentials
    }

    [Theory]
    [MemberData(nameof(Endpoints))]
    public async Task Missing_body_is_told(string path)
    {
        AssertInvalidRequest(await PostAsync(path, [], null), "must be a form");
        var empty = await PostAsync(path, [], Form);
        Assert.Equal((HttpStatusCode.Unauthorized, "invalid_client"), (empty.Status, empty.Error));
        Assert.Contains("authentication is missing", empty["error_description"], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("grant_type=refresh_token&refresh_token=%zz")]
    [InlineData("grant_type=refresh_token&refresh_token=%")]
    [InlineData("grant_type=refresh_token&refresh_token=%4")]
    [InlineData("grant_type=refresh_token&refresh_token=%ff%fe")] // not UTF-8
    [InlineData("grant_type=refresh_token&refresh_token=%c0%80")] // an overlong NUL
    [InlineData("grant_type=refresh_token&refresh_token=%ed%a0%80")] // half a surrogate pair
    [InlineData("grant_type=refresh_token&refresh_token=a%00b")]
    [InlineData("%ff=x")]
    public async Task Broken_encoding_is_invalid_request(string form) =>
        AssertInvalidRequest(await PostAsync("/oauth/token", Encoding.ASCII.GetBytes(form), Form), "encoding");

    [Fact]
    public async Task Raw_bytes_that_are_not_UTF8_are_invalid_request() =>
        AssertInvalidRequest(await PostAsync("/oauth/token", [.. "refresh_token="u8, 0xff, 0xfe], Form), "encoding");

    [Theory]
    [InlineData("grant_type=refresh_token&grant_type=refresh_token", "grant_type")]
    [InlineData("grant_type=refresh_token&refresh_token=a&refresh_token=b", "refresh_token")]
    [InlineData("client_id=a&client_id=a", "client_id")]
    [InlineData("made_up=a&made_up=b", "made_up")]
    public async Task Repeated_parameter_is_invalid_request_that_names_it(string form, string name) =>
        AssertInvalidRequest(await PostAsync("/oauth/token", Encoding.ASCII.GetBytes(form), Form), $"The parameter {name} was sent more than once");

    /// <summary>RFC 6749 3.2: a parameter without a value counts as omitted.</summary>
    [Fact]
    public async Task Empty_parameter_counts_as_absent() =>
        AssertInvalidRequest(await PostAsync("/oauth/token", "grant_type=&client_id=a&grant_type="u8.ToArray(), Form), "grant_type is missing");

    [Theory]
    [MemberData(nameof(Endpoints))]
    public async Task Body_of_2_MB_is_413(string path)
    {
        var body = Encoding.ASCII.GetBytes("token=" + new string('a', 2 * 1024 * 1024));

        var known = await PostAsync(path, body, Form);
        using var request = new HttpRequestMessage(HttpMethod.Post, path)
        {
            Headers = { TransferEncodingChunked = true },
            Content = new ByteArrayContent(body),
        };
        request.Content.Headers.ContentType = MediaTypeHeaderValue.Parse(Form);
        var chunked = await flow.SendAsync(request);

        foreach (var answer in (JsonAnswer[])[known, chunked])
        {
            Assert.Equal((HttpStatusCode.RequestEntityTooLarge, "invalid_request"), (answer.Status, answer.Error));
            Assert.Contains("larger than", answer["error_description"], StringComparison.Ordinal);
        }
    }

    /// <summary>Nothing that is merely long or strange may reach the database and fail there.</summary>
    [Fact]
    public async Task Long_and_strange_values_are_refused_in_the_protocols_terms()
    {
        var client = await OAuthFlow.AddClientAsync(fixture.App);
        var values = (string[])[
            new string('x', 30_000), "\u0001\u007f", "'; DROP TABLE users; --", "\ud83d\ude00", "gpt_rt_", "a.b.c", "..", "{\"active\":true}"];
        foreach (var value in values)
        {
            Assert.Equal("invalid_grant", (await flow.ExchangeAsync(client, value)).Error);
            Assert.Equal("invalid_grant", (await flow.RefreshAsync(client, value)).Error);
            Assert.Equal(HttpStatusCode.OK, (await flow.RevokeAsync(client, value)).Status);
            Assert.Equal("""{"active":false}""", (await flow.IntrospectAsync(client, value)).Text);
            Assert.Equal("invalid_client", (await flow.RefreshAsync(client with { Id = value }, "token")).Error);
        }
    }

    private static void AssertInvalidRequest(JsonAnswer answer, string hint)
    {
        Assert.True((answer.Status, answer.Error) == (HttpStatusCode.BadRequest, "invalid_request"), answer.Text);
        Assert.Contains(hint, answer["error_description"], StringComparison.Ordinal);
    }

    private async Task<JsonAnswer> PostAsync(string path, byte[] body, string? mediaType)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new ByteArrayContent(body) };
        request.Content.Headers.ContentType = mediaType is null ? null : MediaTypeHeaderValue.Parse(mediaType);
        return await flow.SendAsync(request);
    }
}
