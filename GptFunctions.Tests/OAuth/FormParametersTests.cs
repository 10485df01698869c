using System.Text;
using FsCheck;
using FsCheck.Fluent;
using GptFunctions.OAuth;
using GptFunctions.Tokens;
using Microsoft.AspNetCore.Http;

namespace GptFunctions.Tests.OAuth;

/// <summary>oauth.md 3, 4 and 9: parameters are decoded strictly, kept unchanged, and never taken twice.</summary>
public sealed class FormParametersTests
{
    [Theory]
    [InlineData("a=1", "1")]
    [InlineData("x=0&a=1&y=2", "1")]
    [InlineData("a=one+two", "one two")]
    [InlineData("a=one%20two%2Bthree", "one two+three")]
    [InlineData("a=%e2%82%AC", "€")]
    [InlineData("a=€", "€")]
    [InlineData("a=%F0%9F%98%80", "😀")]
    [InlineData("a=b=c", "b=c")]
    [InlineData("a=100%25", "100%")]
    [InlineData("a=%26%3D", "&=")]
    [InlineData("%61=1", "1")]
    [InlineData("&&a=1&", "1")]
    [InlineData("a=a;b=2", "a;b=2")]
    [InlineData("a=", null)] // empty counts as absent
    [InlineData("a", null)]
    [InlineData("A=1", null)] // names are case-sensitive
    [InlineData("", null)]
    public async Task Value_is_decoded(string text, string? expected)
    {
        Assert.Equal(expected, OfQuery(text).Value!["a"]);
        Assert.Equal(expected, (await OfBodyAsync(text)).Value!["a"]);
    }

    [Theory]
    [InlineData("a=%")]
    [InlineData("a=%4")]
    [InlineData("a=%zz")]
    [InlineData("a=%u0041")]
    [InlineData("a=%C3%28")] // broken UTF-8
    [InlineData("a=%ED%A0%80")] // a surrogate
    [InlineData("a=%C0%AF")] // overlong
    [InlineData("%FF=1")]
    [InlineData("a=1%00")] // PostgreSQL has no NUL in text
    public async Task Broken_encoding_is_invalid_request(string text)
    {
        Assert.Equal("invalid_request", OfQuery(text).Error?.Code);
        var error = (await OfBodyAsync(text)).Error;
        Assert.Equal("invalid_request", error?.Code);
        Assert.Equal(400, error!.Status);
    }

    [Fact]
    public void Repeated_parameter_is_reported_and_its_first_value_kept()
    {
        var parameters = OfQuery("a=1&b=2&a=3&b=").Value!;
        Assert.Equal(["a"], parameters.Repeated);
        Assert.Equal("1", parameters["a"]);
        Assert.Equal("2", parameters["b"]);
    }

    [Fact]
    public void Parameter_that_is_repeated_empty_counts_once() => Assert.Empty(OfQuery("a=&a=1&a=").Value!.Repeated);

    [Theory]
    [InlineData(null, "not nothing")]
    [InlineData("application/json", "not application/json")]
    [InlineData("multipart/form-data; boundary=x", "not multipart/form-data")]
    [InlineData("text/plain", "not text/plain")]
    public async Task Body_of_another_media_type_is_invalid_request_and_says_what_to_send(string? contentType, string expected)
    {
        var error = (await OfBodyAsync("a=1", contentType)).Error;
        Assert.Equal("invalid_request", error?.Code);
        Assert.Contains("application/x-www-form-urlencoded", error!.Description, StringComparison.Ordinal);
        Assert.Contains(expected, error.Description, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("application/x-www-form-urlencoded; charset=utf-8")]
    [InlineData("Application/X-WWW-Form-URLEncoded")]
    public async Task Media_type_is_compared_without_case_and_parameters(string contentType) =>
        Assert.Equal("1", (await OfBodyAsync("a=1", contentType)).Value!["a"]);

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Body_over_the_limit_is_413_with_or_without_a_content_length(bool hasLength)
    {
        Assert.Null((await OfBodyAsync("a=" + new string('x', 1022), hasLength: hasLength)).Error);
        var error = (await OfBodyAsync("a=" + new string('x', 1023), hasLength: hasLength)).Error;
        Assert.Equal(413, error?.Status);
    }

    /// <summary>oauth.md 3: whatever a client puts into state comes back unchanged.</summary>
    [Fact]
    public void Decode_gives_back_what_any_text_was_encoded_from() => Check.QuickThrowOnFailure(Prop.ForAll<string?>(text =>
    {
        var value = new string([.. (text ?? "").Where(character => !char.IsSurrogate(character) && character != '\0')]) + "😀";
        var parameters = OfQuery("before=1&a=" + Uri.EscapeDataString(value) + "&after=2").Value!;
        return parameters["a"] == value && parameters["before"] == "1" && parameters["after"] == "2";
    }));

    /// <summary>No bytes from the wire make it throw: they decode to text without NUL and surrogates, or they are refused.</summary>
    [Fact]
    public void Any_bytes_are_decoded_or_refused() => Check.QuickThrowOnFailure(Prop.ForAll<byte[]>(bytes =>
        FormParameters.Decode(bytes) is not { } text || Encoding.UTF8.GetByteCount(text) <= bytes.Length));

    private static Outcome<FormParameters> OfQuery(string query)
    {
        var context = new DefaultHttpContext();
        context.Request.QueryString = new QueryString("?" + query);
        return FormParameters.OfQuery(context.Request);
    }

    private static async Task<Outcome<FormParameters>> OfBodyAsync(
        string body, string? contentType = "application/x-www-form-urlencoded", bool hasLength = true)
    {
        var bytes = Encoding.UTF8.GetBytes(body);
        var context = new DefaultHttpContext();
        context.Request.ContentType = contentType;
        context.Request.ContentLength = hasLength ? bytes.Length : null;
        context.Request.Body = new MemoryStream(bytes);
        return await FormParameters.OfBodyAsync(context.Request, 1024);
    }
}
