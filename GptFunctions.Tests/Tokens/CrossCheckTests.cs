using System.Buffers.Text;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using GptFunctions.Tokens;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;
using Xunit.Abstractions;

namespace GptFunctions.Tests.Tokens;

/// <summary>
/// oauth.md 14. Our own writing and checking of tokens is there for its speed; here it is held against a library that many rely on. A failure names its seed,
/// with which <c>CROSS_CHECK_SEED</c> repeats it.
/// </summary>
public sealed class CrossCheckTests : IDisposable
{
    private const int Runs = 10_000;
    private const string Issuer = "https://gpt.example";
    private const string Audience = Issuer + "/gpt";

    private static readonly string[] Strings =
        ["", "a", "user_2abc", "\"", "\\", "/", "<script>", "\0\r\n\t", "ü", "€", "漢字", "\u2028", "😀", "2026-01-01T00:00:00Z", "null", "1", " "];

    private static readonly string?[] OtherAlgorithms = ["none", "HS256", "RS256", "PS256", "ES384", "ES512", "es256", "ES256 ", "", null];
    private static readonly string?[] OtherTypes = ["JWT", "at+JWT", "AT+JWT", "application/at+jwt", "at+jwt ", "", null];

    private readonly ITestOutputHelper output;
    private readonly int firstSeed =
        int.TryParse(Environment.GetEnvironmentVariable("CROSS_CHECK_SEED"), CultureInfo.InvariantCulture, out var seed)
            ? seed
            : Random.Shared.Next(1_000_000_000);

    private readonly ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private readonly ECDsa stranger = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private readonly ServiceProvider services;
    private readonly AccessTokens tokens;
    private readonly JsonWebTokenHandler library = new();
    private readonly TokenValidationParameters rules;

    public CrossCheckTests(ITestOutputHelper output)
    {
        this.output = output;
        services = new ServiceCollection()
            .Configure<TokenSettings>(settings => settings.PublicBaseUrl = Issuer)
            .Configure<TokenKeys>(settings =>
                settings.SigningKeys = [Convert.ToBase64String(Encoding.ASCII.GetBytes(key.ExportPkcs8PrivateKeyPem()))])
            .AddSingleton(TimeProvider.System).AddSingleton<SigningKeys>().AddSingleton<UsedGenerations>().AddSingleton<AccessTokens>()
            .AddSingleton<ScopeCatalog>().AddSingleton<ProtectedResources>()
            .BuildServiceProvider();
        tokens = services.GetRequiredService<AccessTokens>();
        rules = new TokenValidationParameters
        {
            IssuerSigningKey = new ECDsaSecurityKey(key) { KeyId = Keys.Current.KeyId },
            ValidAlgorithms = ["ES256"],
            ValidTypes = ["at+jwt"],
            ValidIssuer = Issuer,
            ValidAudience = Audience,
            IgnoreTrailingSlashWhenValidatingAudience = false,
            ClockSkew = TimeSpan.Zero,
        };
    }

    private SigningKeys Keys => services.GetRequiredService<SigningKeys>();

    public void Dispose()
    {
        services.Dispose();
        key.Dispose();
        stranger.Dispose();
    }

    [Fact]
    public Task Library_accepts_what_we_write_and_reads_the_same_claims() => RepeatAsync(async random =>
    {
        var claims = Claims(random);
        var written = new JwtWriter(Keys, "at+jwt").Write(json =>
        {
            foreach (var (name, value) in claims)
            {
                json.WritePropertyName(name);
                JsonSerializer.Serialize(json, value);
            }
        });

        var result = await library.ValidateTokenAsync(written, rules);

        Assert.True(result.IsValid, result.Exception?.Message);
        var read = Assert.IsType<JsonWebToken>(result.SecurityToken);
        Assert.Equal(Keys.Current.KeyId, read.Kid);
        Assert.All(claims, claim => Assert.Equal(
            JsonSerializer.Serialize(claim.Value), read.TryGetPayloadValue<object>(claim.Key, out var value) ? JsonSerializer.Serialize(value) : "nothing"));
    });

    [Fact]
    public Task Library_and_we_accept_and_refuse_the_same_access_tokens() => RepeatAsync(async random =>
    {
        var (subject, client, session, scope) = (Text(random), Text(random), Guid.NewGuid(), Text(random));
        var good = tokens.Issue(subject, client, session, scope, Audience, random.Next());

        var ours = tokens.Verify(good).Value;
        var theirs = await library.ValidateTokenAsync(good, rules);

        var read = Assert.IsType<JsonWebToken>(theirs.SecurityToken);
        Assert.True(theirs.IsValid, theirs.Exception?.Message);
        Assert.NotNull(ours);
        Assert.Equal([Audience], ours.Audience);
        Assert.Equal(
            ours with { Subject = subject, ClientId = client, SessionId = session, Scope = scope },
            new AccessToken(
                read.Subject, read.GetPayloadValue<string>("client_id"), Guid.Parse(read.GetPayloadValue<string>("sid")),
                read.GetPayloadValue<string>("scope"),
                Assert.Single(read.Audiences) == Audience
                    ? ours.Audience
                    : [], new DateTimeOffset(read.IssuedAt, TimeSpan.Zero), new DateTimeOffset(read.ValidTo, TimeSpan.Zero), read.Id));

        var (kind, bad) = Spoil(random, good);
        Assert.True(tokens.Verify(bad).Error?.Code == "invalid_token", $"We accept a token with {kind}: {bad}");
        Assert.False((await library.ValidateTokenAsync(bad, rules)).IsValid, $"The library accepts a token with {kind}: {bad}");
    });

    private (string Kind, string Token) Spoil(Random random, string good)
    {
        var parts = good.Split('.');
        var (header, claims) = (Read(parts[0]), Read(parts[1]));
        switch (random.Next(10))
        {
            case 0:
                return ("a bit flipped in the text", Flip(random, good));
            case 1:
                var part = random.Next(3);
                var bytes = Base64Url.DecodeFromChars(parts[part]);
                bytes[random.Next(bytes.Length)] ^= (byte)(1 << random.Next(8));
                parts[part] = Base64Url.EncodeToString(bytes);
                return ($"a bit flipped in part {part}", string.Join('.', parts));
            case 2:
                var place = random.Next(good.Length + 1);
                return ("a character too many", good.Insert(place, " \t\n=.~+/A"[random.Next(9)].ToString()));
            case 3:
                place = random.Next(good.Length);
                return ("a character too few", good.Remove(place, 1));
            case 4:
                return ("the signature of another key", Sign(header, claims, stranger));
            case 5:
                Set(header, "alg", Pick(random, OtherAlgorithms));
                return ("another algorithm", Sign(header, claims));
            case 6:
                Set(header, "typ", Pick(random, OtherTypes));
                return ("another type", Sign(header, claims));
            case 7:
                claims["exp"] = claims["iat"]!.GetValue<long>() - random.Next(1_000_000);
                return ("an end in the past", Sign(header, claims));
            case 8:
                Set(claims, "exp", null);
                return ("no end", Sign(header, claims));
            default:
                Set(claims, Pick(random, ["iss", "aud"]), Pick(random, [null, "", Issuer + "/", Audience + "/", "https://elsewhere.example"]));
                return ("another issuer or audience", Sign(header, claims));
        }
    }

    /// <summary>Members of any kind, beside those that make the library accept a token.</summary>
    private static Dictionary<string, JsonNode?> Claims(Random random)
    {
        var now = TimeProvider.System.GetUtcNow().ToUnixTimeSeconds();
        var claims = new Dictionary<string, JsonNode?>(StringComparer.Ordinal)
        {
            ["iss"] = Issuer,
            ["aud"] = Audience,
            ["exp"] = now + 60 + random.Next(1_000_000),
        };
        for (var count = random.Next(12); count > 0; count--)
        {
            claims["c" + Text(random)] = Value(random, depth: 2);
        }

        return claims;
    }

    private static JsonNode? Value(Random random, int depth) => random.Next(depth > 0 ? 8 : 6) switch
    {
        0 => null,
        1 => random.Next(2) == 0,
        2 => random.Next(int.MinValue, int.MaxValue),
        3 => random.NextInt64(long.MinValue, long.MaxValue),
        4 => random.Next(-1_000_000, 1_000_000) / 8d,
        5 => Text(random),
        6 => new JsonArray([.. Enumerable.Range(0, random.Next(4)).Select(_ => Value(random, depth - 1))]),
        _ => new JsonObject(Enumerable.Range(0, random.Next(4)).Select(number => KeyValuePair.Create($"{number}{Text(random)}", Value(random, depth - 1)))),
    };

    private static string Text(Random random) => string.Concat(Enumerable.Range(0, random.Next(6)).Select(_ => Pick(random, Strings)));

    private static T Pick<T>(Random random, T[] choices) => choices[random.Next(choices.Length)];

    private static string Flip(Random random, string text)
    {
        var characters = text.ToCharArray();
        characters[random.Next(characters.Length)] ^= (char)(1 << random.Next(7));
        return new string(characters);
    }

    private static JsonObject Read(string part) => JsonNode.Parse(Base64Url.DecodeFromChars(part))!.AsObject();

    private static void Set(JsonObject json, string name, string? value)
    {
        json.Remove(name);
        if (value is not null)
        {
            json[name] = value;
        }
    }

    private string Sign(JsonObject header, JsonObject claims, ECDsa? by = null)
    {
        var text = $"{Encode(header)}.{Encode(claims)}";
        return $"{text}.{Base64Url.EncodeToString((by ?? key).SignData(Encoding.ASCII.GetBytes(text), HashAlgorithmName.SHA256))}";
    }

    private static string Encode(JsonObject json) => Base64Url.EncodeToString(Encoding.UTF8.GetBytes(json.ToJsonString()));

    private async Task RepeatAsync(Func<Random, Task> check)
    {
        output.WriteLine($"{Runs} tokens, seeds from {firstSeed}");
        for (var seed = firstSeed; seed < firstSeed + Runs; seed++)
        {
            try
            {
                await check(new Random(seed));
            }
            catch (Exception error)
            {
                throw new InvalidOperationException($"CROSS_CHECK_SEED={seed}: {error.Message}", error);
            }
        }
    }
}
