using System.Text.Json.Serialization;

namespace GptFunctions.OAuth;

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(TokenResponse))]
[JsonSerializable(typeof(IntrospectionResponse))]
[JsonSerializable(typeof(ServerMetadata))]
[JsonSerializable(typeof(ResourceMetadata))]
[JsonSerializable(typeof(KeySet))]
[JsonSerializable(typeof(RegistrationRequest))]
[JsonSerializable(typeof(RegistrationResponse))]
[JsonSerializable(typeof(DataResponse<ConsentState>))]
[JsonSerializable(typeof(DataResponse<RedirectTo>))]
internal sealed partial class OAuthJson : JsonSerializerContext;

/// <summary>The envelope of answers to the company's own web app.</summary>
internal sealed record DataResponse<T>(T Data);
