/** The description of the running application; made once it is built, because it is made from it. */
export class OpenApiHolder {
  document: object = {};
}
