using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Gateway;

/// <summary>What the Functions host tells the program, or a caller pretends that it did, is no business of an upstream.</summary>
public sealed class HostHeadersTests(GatewayFixture<HostHeadersTests> fixture) : IClassFixture<GatewayFixture<HostHeadersTests>>
{
    [Theory]
    [InlineData("x-ms-invocation-id")]
    [InlineData("X-MS-Invocation-Id")]
    [InlineData("x_ms_invocation_id")]
    [InlineData("x-ms-client-principal")]
    [InlineData("x-ms-token-aad-id-token")]
    [InlineData("x-ms-anything")]
    [InlineData("x-original-host")]
    public async Task Header_of_the_functions_host_never_reaches_an_upstream(string name)
    {
        var user = await fixture.Users.AddAsync();

        var echo = await fixture.App.Http.EchoAsync(user, headers: (name, "of-the-host"));

        Assert.DoesNotContain(
            echo.Headers,
            header => header.Value == "of-the-host" || header.Name.Replace('_', '-').StartsWith("x-ms-", StringComparison.OrdinalIgnoreCase));
    }
}
