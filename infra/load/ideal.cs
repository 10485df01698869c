#:sdk Microsoft.NET.Sdk.Web
#:package Npgsql
#:property PublishAot=false
// What a refresh is measured beside: the shortest way in C# that does its work and checks nothing. A form, one statement, one ES256 signature, JSON.
// usage: dotnet ideal.dll PORT DATABASE_URL STATEMENT_FILE
using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using Npgsql;

var address = new Uri(args[1]);
var account = address.UserInfo.Split(':');
await using var source = NpgsqlDataSource.Create(new NpgsqlConnectionStringBuilder
{
    Host = address.Host, Port = address.Port, Username = account[0], Password = account[1], Database = address.AbsolutePath[1..],
    MaxPoolSize = 15, MaxAutoPrepare = 10, AutoPrepareMinUsages = 1, NoResetOnClose = true,
});
var statement = await File.ReadAllTextAsync(args[2]);
var (signingKey, refreshKey) = (ECDsa.Create(ECCurve.NamedCurves.nistP256), RandomNumberGenerator.GetBytes(32));
var header = Base64Url.EncodeToString("""{"alg":"ES256","typ":"at+jwt","kid":"0123456789abcdef"}"""u8);

var builder = WebApplication.CreateSlimBuilder();
builder.Logging.ClearProviders();
builder.WebHost.UseUrls($"http://127.0.0.1:{args[0]}");
var app = builder.Build();
app.MapGet("/ready", () => "ready");
app.MapPost("/oauth/token", async context =>
{
    var presented = (await context.Request.ReadFormAsync())["refresh_token"].ToString();
    var successor = Base64Url.EncodeToString(HMACSHA256.HashData(refreshKey, Encoding.ASCII.GetBytes(presented)));
    await using var command = source.CreateCommand(statement);
    command.Parameters.Add(new NpgsqlParameter<byte[]> { TypedValue = SHA256.HashData(Encoding.ASCII.GetBytes(presented)) });
    command.Parameters.Add(new NpgsqlParameter<byte[]> { TypedValue = SHA256.HashData(Encoding.ASCII.GetBytes(successor)) });
    if (await command.ExecuteScalarAsync() is not Guid session)
    {
        context.Response.StatusCode = 400;
        return;
    }

    var payload = Base64Url.EncodeToString(Encoding.ASCII.GetBytes(
        $$"""{"iss":"http://127.0.0.1","sub":"user_bench","client_id":"bench","sid":"{{session}}","scope":"jobs:read","iat":1700000000,"exp":1700000900}"""));
    var signature = Base64Url.EncodeToString(signingKey.SignData(Encoding.ASCII.GetBytes($"{header}.{payload}"), HashAlgorithmName.SHA256));
    context.Response.ContentType = "application/json";
    await context.Response.WriteAsync(
        $$"""{"access_token":"{{header}}.{{payload}}.{{signature}}","token_type":"Bearer","expires_in":900"""
        + $$""","refresh_token":"{{successor}}","scope":"jobs:read"}""");
});
app.Run();
